/* mpi.h - a small MPI for tests under sanitizers: processes of one machine that a test program forks, and sockets between them. What is
 * here behaves as MPI says; what libparla_mpi and its tests do not use is not here. Never installed. */
#ifndef FAKEMPI_MPI_H
#define FAKEMPI_MPI_H

#include <stddef.h>
#include <stdint.h>

typedef struct fake_comm *MPI_Comm;
typedef struct fake_request *MPI_Request;
typedef struct fake_type *MPI_Datatype;
typedef intptr_t MPI_Aint;
typedef enum { MPI_ERRORS_ARE_FATAL, MPI_ERRORS_RETURN } MPI_Errhandler;
typedef enum { MPI_SUM, MPI_MAX, MPI_LAND } MPI_Op;
typedef enum { MPI_INFO_NULL } MPI_Info;

typedef struct MPI_Status {
    int MPI_SOURCE, MPI_TAG, MPI_ERROR;
    int is_cancelled;
    size_t n_bytes;
} MPI_Status;

extern struct fake_comm fake_world, fake_self;
extern struct fake_type fake_byte, fake_int, fake_long, fake_uint32, fake_uint64;

#define MPI_COMM_WORLD (&fake_world)
#define MPI_COMM_SELF (&fake_self)
#define MPI_COMM_NULL ((MPI_Comm)NULL)
#define MPI_REQUEST_NULL ((MPI_Request)NULL)
#define MPI_DATATYPE_NULL ((MPI_Datatype)NULL)
#define MPI_BYTE (&fake_byte)
#define MPI_INT (&fake_int)
#define MPI_LONG (&fake_long)
#define MPI_UINT32_T (&fake_uint32)
#define MPI_UINT64_T (&fake_uint64)
#define MPI_STATUS_IGNORE ((MPI_Status *)NULL)
#define MPI_STATUSES_IGNORE ((MPI_Status *)NULL)

enum { MPI_SUCCESS, MPI_ERR_TRUNCATE, MPI_ERR_IN_STATUS, MPI_ERR_ARG, MPI_ERR_LASTCODE };
enum { MPI_THREAD_SINGLE, MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED, MPI_THREAD_MULTIPLE };
enum { MPI_IDENT, MPI_CONGRUENT, MPI_SIMILAR, MPI_UNEQUAL };
enum { MPI_ANY_SOURCE = -1, MPI_ANY_TAG = -1, MPI_UNDEFINED = -32766, MPI_KEYVAL_INVALID = -1 };
enum { MPI_COMM_TYPE_SHARED = 1, MPI_TAG_UB = 0, MPI_MAX_ERROR_STRING = 256, MPI_MAX_LIBRARY_VERSION_STRING = 256 };

typedef int MPI_Comm_copy_attr_function(MPI_Comm comm, int key, void *extra, void *in, void *out, int *flag);
typedef int MPI_Comm_delete_attr_function(MPI_Comm comm, int key, void *value, void *extra);
#define MPI_COMM_NULL_COPY_FN ((MPI_Comm_copy_attr_function *)NULL)

/* Life */
int MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided);
int MPI_Initialized(int *flag);
int MPI_Finalized(int *flag);
int MPI_Query_thread(int *provided);
int MPI_Finalize(void);
int MPI_Abort(MPI_Comm comm, int status);
int MPI_Error_string(int code, char *out, int *n);
int MPI_Get_library_version(char *out, int *n);

/* Communicators */
int MPI_Comm_rank(MPI_Comm comm, int *out);
int MPI_Comm_size(MPI_Comm comm, int *out);
int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *out);
int MPI_Comm_split(MPI_Comm comm, int colour, int key, MPI_Comm *out);
int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *out);
int MPI_Comm_free(MPI_Comm *comm);
int MPI_Comm_compare(MPI_Comm a, MPI_Comm b, int *out);
int MPI_Comm_set_errhandler(MPI_Comm comm, MPI_Errhandler handler);
int MPI_Comm_create_keyval(MPI_Comm_copy_attr_function *copy, MPI_Comm_delete_attr_function *delete, int *key, void *extra);
int MPI_Comm_free_keyval(int *key);
int MPI_Comm_set_attr(MPI_Comm comm, int key, void *value);
int MPI_Comm_get_attr(MPI_Comm comm, int key, void *out, int *flag);
int MPI_Comm_delete_attr(MPI_Comm comm, int key);

/* Messages */
int MPI_Isend(const void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *out);
int MPI_Irecv(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *out);
int MPI_Send(const void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm);
int MPI_Recv(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Status *status);
int MPI_Sendrecv(const void *sent, int n_sent, MPI_Datatype sent_type, int to, int sent_tag, void *received, int n_received,
                 MPI_Datatype received_type, int from, int received_tag, MPI_Comm comm, MPI_Status *status);
int MPI_Recv_init(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *out);
int MPI_Start(MPI_Request *request);
int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status);
int MPI_Testsome(int n, MPI_Request requests[], int *n_done, int indices[], MPI_Status statuses[]);
int MPI_Wait(MPI_Request *request, MPI_Status *status);
int MPI_Waitall(int n, MPI_Request requests[], MPI_Status statuses[]);
int MPI_Request_get_status(MPI_Request request, int *flag, MPI_Status *status);
int MPI_Request_free(MPI_Request *request);
int MPI_Cancel(MPI_Request *request);
int MPI_Test_cancelled(const MPI_Status *status, int *flag);
int MPI_Get_count(const MPI_Status *status, MPI_Datatype type, int *out);

/* Collectives */
int MPI_Barrier(MPI_Comm comm);
int MPI_Bcast(void *buffer, int n, MPI_Datatype type, int root, MPI_Comm comm);
int MPI_Allgather(const void *sent, int n, MPI_Datatype type, void *received, int n_received, MPI_Datatype received_type,
                  MPI_Comm comm);
int MPI_Allreduce(const void *sent, void *received, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm);
int MPI_Ibarrier(MPI_Comm comm, MPI_Request *out);
int MPI_Ialltoall(const void *sent, int n, MPI_Datatype type, void *received, int n_received, MPI_Datatype received_type,
                  MPI_Comm comm, MPI_Request *out);

/* Datatypes */
int MPI_Type_contiguous(int n, MPI_Datatype of, MPI_Datatype *out);
int MPI_Type_create_hvector(int n, int length, MPI_Aint stride, MPI_Datatype of, MPI_Datatype *out);
int MPI_Type_create_struct(int n, const int lengths[], const MPI_Aint places[], const MPI_Datatype types[], MPI_Datatype *out);
int MPI_Type_commit(MPI_Datatype *type);
int MPI_Type_free(MPI_Datatype *type);
int MPI_Type_get_extent(MPI_Datatype type, MPI_Aint *lower, MPI_Aint *extent);

#endif
