// Takes memory, a megabyte at a time, and uses it, until it is stopped: memory-bomb [LIMIT_MEGABYTES]
//
// With a limit it keeps what it has and sleeps once it is there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Volatile, so that the compiler cannot see that nobody reads what is written.
static char *volatile newest;

int main(int argc, char **argv) {
    const size_t megabyte = 1 << 20;
    long limit = argc > 1 ? atol(argv[1]) : -1;
    for (long held = 0; held != limit; held++) {
        if (held % 16 == 0) {
            printf("holding %ld MB\n", held);
            fflush(stdout);
        }
        char *more = malloc(megabyte);
        if (more == NULL) {
            fprintf(stderr, "no more memory after %ld MB\n", held);
            abort();
        }
        memset(more, 'x', megabyte);
        newest = more;
    }
    printf("holding %ld MB, and content\n", limit);
    fflush(stdout);
    struct timespec hour = {3600, 0};
    for (;;) nanosleep(&hour, NULL);
}
