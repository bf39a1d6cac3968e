/* capture.h - closure variables by value, and functions that the collector need not look at. From: threads with the GIL. */
#ifndef PARLA_PYTHON_CAPTURE_H
#define PARLA_PYTHON_CAPTURE_H

#include <Python.h>
#include <stdbool.h>

struct module_state;

/* Is `function`, an argument of a vectorcall, new and held by nobody but the caller's stack, as what a decorator gets is? */
bool capture_is_temporary(PyObject *function, size_t n_args_and_flags);

/* A function that behaves as `function` with the values that its closure cells hold now: `function` itself if it has no cells, or if it is a
 * temporary, whose cells are replaced in place. New reference or NULL. */
PyObject *capture_closure(PyObject *function, bool is_temporary);

/* Takes a function that nobody else has, with its closure, off the lists of the garbage collector, and puts them back. Whoever roots them
 * keeps them alive, and unroots them before letting go. */
void capture_root(PyObject *function);
void capture_unroot(PyObject *function);

/* Puts the tuple of its cells, rooted, in place of a function that nobody else will have, and sets `*out_site` to what it takes to make the
 * function again (a new reference). False, with nothing changed, if it has more than that. */
bool capture_stow(struct module_state *state, PyObject **function, PyObject **out_site);

/* The function, rooted as its cells are. New reference or NULL. */
PyObject *capture_unstow(PyObject *site, PyObject *cells);

/* For cells that never became a function again. */
void capture_unroot_cells(PyObject *cells);

/* Lets go of the code and globals of bodies that were spawned lately. From: the end of a runtime. */
void capture_forget_sites(struct module_state *state);

#endif
