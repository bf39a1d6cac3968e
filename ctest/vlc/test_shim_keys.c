/* test_shim_keys.c - thread-specific data does not leak from one namespace into another. */
#include "vlc_fixture.h"

#include <pthread.h>

static pthread_key_t ours;
static _Atomic int n_ours;
static void count_ours(void *value) { n_ours += value != NULL; }

typedef struct pair {
    parla_vlc *a, *b;
    _Atomic int n_objects;
} pair;

static void *set_all(void *arg)
{
    pair *self = arg;
    int x, y;
    T_EQ(pthread_setspecific(ours, &n_ours), 0);
    GUEST_OF(self->a, guest_key_set)(&x);
    GUEST_OF(self->b, guest_key_set)(&y);
    T_EQ_PTR(pthread_getspecific(ours), (void *)&n_ours);
    T_EQ_PTR(GUEST_OF(self->a, guest_key_get)(), (void *)&x);
    T_EQ_PTR(GUEST_OF(self->b, guest_key_get)(), (void *)&y);
    T_EQ(GUEST_OF(self->a, guest_thread_object)(&self->n_objects), 0);
    T_EQ(GUEST_OF(self->a, guest_tss)(), 1);
    return NULL;
}

T_TEST(each_namespace_has_its_own_values_and_destructors)
{
    pair both = {make_guest(1), make_guest(1), 0};
    pthread_t thread;
    T_EQ(pthread_key_create(&ours, count_ours), 0);
    int a = GUEST_OF(both.a, guest_key_make)(), b = GUEST_OF(both.b, guest_key_make)();
    T_TRUE(a >= 0 && b >= 0 && a != b && a != (int)ours && b != (int)ours);
    T_EQ(pthread_create(&thread, NULL, set_all, &both), 0);
    T_EQ(pthread_join(thread, NULL), 0);
    T_EQ(n_ours, 1);
    T_EQ(GUEST_OF(both.a, guest_key_destroyed)(), 1);
    T_EQ(GUEST_OF(both.b, guest_key_destroyed)(), 1);
    T_EQ(both.n_objects, 1);
    T_EQ(GUEST_OF(both.a, guest_key_delete)(), 0);
    parla_vlc_destroy(both.a);
    parla_vlc_destroy(both.b);
}

/* Their values are destroyed, in two rounds where a destructor sets one again, whether or not the C library keeps them in the thread's own
 * description; memory goes back to the heap that it came from. */
T_TEST(threads_made_inside_destroy_their_values)
{
    parla_vlc *a = make_guest(1), *b = make_guest(1);
    for (int i = 0; i < 20; i++) {
        T_EQ(GUEST_OF(a, guest_thread_with_keys)(8), 9);
        T_EQ(GUEST_OF(b, guest_thread_with_keys)(80), 81);
    }
    T_EQ(GUEST_OF(a, guest_key_is_renewed)(), 1);
    parla_vlc_destroy(a);
    parla_vlc_destroy(b);
}

typedef struct outliving {
    parla_vlc *vlc;
    pthread_barrier_t barrier;
} outliving;

static void *outlive(void *arg)
{
    outliving *self = arg;
    int value;
    GUEST_OF(self->vlc, guest_key_set)(&value);
    pthread_barrier_wait(&self->barrier);
    pthread_barrier_wait(&self->barrier); /* the library is unloaded now, and its destructor of values with it */
    return NULL;
}

T_TEST(a_thread_may_end_after_the_library_whose_value_it_holds)
{
    outliving both = {.vlc = make_guest(1)};
    pthread_t thread;
    pthread_barrier_init(&both.barrier, NULL, 2);
    T_GE(GUEST_OF(both.vlc, guest_key_make)(), 0);
    T_EQ(pthread_create(&thread, NULL, outlive, &both), 0);
    pthread_barrier_wait(&both.barrier);
    parla_vlc_destroy(both.vlc);
    T_EQ(info_of(make_context(1)).n_libraries, 0);
    pthread_barrier_wait(&both.barrier);
    T_EQ(pthread_join(thread, NULL), 0);
}
