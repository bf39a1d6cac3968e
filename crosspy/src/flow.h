/* flow.h - what a flow is made of, for flow.c and meet.c. */
#ifndef CX_FLOW_H
#define CX_FLOW_H

#include <crosspy/flow.h>

#include <pthread.h>

/* A meeting of the ranks (meet.c). */
typedef struct cx_meeting {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int n_under_way; /* under `lock` */
    int status;      /* of the first message that failed; under `lock` */
    enum { CX_MEETING_OVER, CX_MEETING_GATHERS, CX_MEETING_SPREADS } phase;
    uint64_t n_meetings;
    unsigned char *mine, *table; /* one entry; one for each rank */
} cx_meeting;

/* What was said between this rank and another one. */
typedef struct cx_peer {
    uint64_t n_to, n_from; /* blocks sent and received: the next one's tag */
} cx_peer;

struct cx_flow {
    parla_runtime *rt;
    parla_transport *transport;
    cx_meeting meeting;
    uint64_t n_arrays;   /* that were used in the stream */
    uint64_t n_in_plans; /* transfers of plans: the next plan's first tag */
    cx_flow_info info;
    cx_peer peers[];
};

int cx_meeting_init(cx_meeting *meeting, int n_ranks);
void cx_meeting_fini(cx_meeting *meeting);

#endif
