/* guest.h - what guest.c offers; the tests look these up, and include this for the types. */
#ifndef PARLA_TEST_VLC_GUEST_H
#define PARLA_TEST_VLC_GUEST_H

#define GUEST __attribute__((visibility("default")))

int guest_cpus_at_load(void);
void guest_cpus(int out[7]); /* seven ways to ask how many CPUs there are */
int guest_kernel_cpus(void);
int guest_try_to_leave(void);
int guest_pin_to(int cpu);
int guest_thread_cpus(void);
int guest_c11_thread_cpus(void);
int guest_thread_with_all_cpus(void);
int guest_leave_thread(void);
int guest_end_thread(void);
int guest_exit_thread(void);
int guest_key_make(void);
void guest_key_set(void *value);
void *guest_key_get(void);
int guest_key_destroyed(void);
int guest_key_delete(void);
int guest_thread_with_keys(
    int n_keys);                /* a thread made inside sets them all and ends: how many destructors ran, one of them twice */
int guest_key_is_renewed(void); /* is a key that was deleted and made again empty in a thread that had set the old one? */
int guest_tss(void);
int guest_thread_object(void *counter);
int guest_read(const char *path, int how, char *out, int capacity); /* how: fopen, open, openat */
const char *guest_getenv(const char *name);
int guest_setenv(const char *name, const char *value);
int *guest_errno(void);
void guest_print(const char *text);
void guest_exit(int status);
const char *guest_locale(const char *name);
void *guest_malloc(unsigned long size);
void guest_free(void *p);
const char *guest_dlopen(const char *library);
int guest_text_work(void);
int guest_fork(void); /* what a child that allocates and prints returns: 7 */
int guest_handle_signals(int number);
int guest_n_signals(void);
long guest_unsafe_sum(long n);

#endif
