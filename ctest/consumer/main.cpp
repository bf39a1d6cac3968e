/* main.cpp - the same program as C++. */
#include "main.c"
