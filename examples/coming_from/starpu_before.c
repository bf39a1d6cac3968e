/* starpu_before.c - blocks of a vector with StarPU: a handle for each block, a codelet for each kind of work. */
#include <starpu.h>
#include <stdio.h>

enum { N = 1000, BLOCK = 250, N_BLOCKS = N / BLOCK };
static double x[N];

static void fill(void *buffers[], void *arg)
{
    double *block = (double *)STARPU_VECTOR_GET_PTR(buffers[0]);
    for (int i = 0; i < BLOCK; i++)
        block[i] = (int)(intptr_t)arg + i;
}

static void twice(void *buffers[], void *arg)
{
    double *block = (double *)STARPU_VECTOR_GET_PTR(buffers[0]);
    (void)arg;
    for (int i = 0; i < BLOCK; i++)
        block[i] *= 2;
}

static struct starpu_codelet fill_codelet = {.cpu_funcs = {fill}, .nbuffers = 1, .modes = {STARPU_W}};
static struct starpu_codelet twice_codelet = {.cpu_funcs = {twice}, .nbuffers = 1, .modes = {STARPU_RW}};

int main(void)
{
    double sum = 0;
    starpu_data_handle_t blocks[N_BLOCKS];
    if (starpu_init(NULL) != 0)
        return 77;
    for (int i = 0; i < N_BLOCKS; i++) {
        starpu_vector_data_register(&blocks[i], STARPU_MAIN_RAM, (uintptr_t)&x[i * BLOCK], BLOCK, sizeof *x);
        starpu_task_insert(&fill_codelet, STARPU_W, blocks[i], STARPU_CL_ARGS_NFREE, (void *)(intptr_t)(i * BLOCK), (size_t)0, 0);
        starpu_task_insert(&twice_codelet, STARPU_RW, blocks[i], 0);
    }
    starpu_task_wait_for_all();
    for (int i = 0; i < N_BLOCKS; i++)
        starpu_data_unregister(blocks[i]);
    starpu_shutdown();
    for (int i = 0; i < N; i++)
        sum += x[i];
    printf("sum %.1f\n", sum);
    return 0;
}
