/* guest_cxx.cpp - a C++ library with static state, exceptions and thread_local objects. */
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#define GUEST extern "C" __attribute__((visibility("default")))

namespace {
std::map<std::string, int> counts; // made by a constructor at load time
struct Noted {
    int value = 0;
    ~Noted() { counts["destroyed"]++; }
};
thread_local Noted noted;
} // namespace

GUEST int cxx_count(const char *word) { return ++counts[word]; }
GUEST int cxx_read(const char *word) { return counts[word]; }
GUEST int cxx_touch() { return ++noted.value; }

GUEST int cxx_throw(int value)
{
    try {
        if (value > 0)
            throw std::runtime_error("on purpose");
        return 0;
    } catch (const std::exception &error) {
        return std::string(error.what()) == "on purpose" ? 1 : -1;
    }
}

/* In a thread of its own: what is thrown there is caught there, and its thread_local object is destroyed with it. */
GUEST int cxx_thread(int value)
{
    int result = -1;
    std::thread([&] { result = cxx_throw(value) + ++noted.value; }).join();
    return result;
}

GUEST void cxx_throw_out() { throw std::runtime_error("nobody catches this"); }
