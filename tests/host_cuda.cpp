// The threads of a GPU on one of the host: a block after the other, its threads as fibers that stop where they meet.
//
// Fibers take threads one after the other, in the order that is asked for, until one of them stops at a barrier or a
// shuffle; it keeps its fiber, and others take the threads behind it. So threads that never meet are a plain loop. When
// all have stopped, those of a warp that wait at the same shuffle exchange what they have; when all of a block wait at
// the same barrier, they go on; anything else is a mistake, and ends the launch.

#include "host_cuda.h"

#include <algorithm>
#include <link.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

namespace host_cuda {

Dimensions thread_index, block_index, block_size, grid_size;

namespace {

constexpr unsigned WARP = 32;
constexpr size_t STACK = 256 * 1024, GUARD = 64 * 1024;
constexpr int POISON = 0xff;  // a number that is none, and no index

enum class State { NEW, AT_BARRIER, AT_SHUFFLE, READY, ENDED };

struct Fiber {
    jmp_buf place;
    char *stack;
    bool begun;
};

struct Thread {
    State state;
    Fiber *fiber;
    int line;  // in which it waits
    unsigned mask;
    int apart;
    uint64_t bits;
};

struct Region {
    const char *inside;  // by which it is found
    char *start;
    size_t size;
};

const Work *work;
std::vector<Thread> threads;
std::vector<unsigned> turns;  // of the threads that can go on
size_t turn;
unsigned current;
std::vector<Fiber *> fibers, idle;
jmp_buf scheduler;
uint64_t random_state;
char failure[256];

uint64_t draw_random() {  // splitmix64
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void put_in_order(std::vector<unsigned> &numbers, int64_t order) {
    if (order < 0) std::reverse(numbers.begin(), numbers.end());
    if (order > 0)
        for (size_t k = numbers.size(); k > 1; k--) std::swap(numbers[k - 1], numbers[draw_random() % k]);
}

void take_turn() {
    current = turns[turn++];
    thread_index = {current, 0, 0};
}

// What a fiber does: threads that begin, as long as it is their turn.
void run_fiber() {
    for (;;) {
        work->run(work->given);
        threads[current].state = State::ENDED;
        Fiber *const fiber = threads[current].fiber;
        if (turn < turns.size() && threads[turns[turn]].state == State::NEW) {
            take_turn();
            threads[current].fiber = fiber;
            continue;
        }
        idle.push_back(fiber);
        if (!_setjmp(fiber->place)) _longjmp(scheduler, 1);
    }
}

[[noreturn]] void begin_fiber(Fiber *fiber) {
    static ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber->stack + GUARD;
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, run_fiber, 0);
    setcontext(&context);
    abort();
}

Fiber *take_fiber() {
    if (idle.empty()) {
        void *const stack = mmap(nullptr, GUARD + STACK, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED || mprotect(stack, GUARD, PROT_NONE)) abort();
        fibers.push_back(new Fiber{{}, static_cast<char *>(stack), false});
        return fibers.back();
    }
    Fiber *const fiber = idle.back();
    idle.pop_back();
    return fiber;
}

// Goes on with the thread whose turn it is, and returns when it, or one that its fiber then takes, has stopped.
void resume_next() {
    take_turn();
    Thread &thread = threads[current];
    if (thread.state == State::NEW) thread.fiber = take_fiber();
    if (_setjmp(scheduler)) return;
    if (thread.fiber->begun) _longjmp(thread.fiber->place, 1);
    thread.fiber->begun = true;
    begin_fiber(thread.fiber);
}

// Those that hold threads which never go on begin anew.
void free_fibers() {
    idle = fibers;
    for (Fiber *fiber : fibers) fiber->begun = false;
}

void stop(State state, int line) {
    Thread &thread = threads[current];
    thread.state = state;
    thread.line = line;
    if (!_setjmp(thread.fiber->place)) _longjmp(scheduler, 1);
}

const char *describe(const Thread &thread) {
    switch (thread.state) {
        case State::AT_BARRIER: return "waits at a barrier in line";
        case State::AT_SHUFFLE: return "waits at a shuffle in line";
        default: return "has ended behind line";
    }
}

bool refuse(unsigned one, unsigned other) {
    snprintf(failure, sizeof failure, "block %u: thread %u %s %d, but thread %u %s %d", block_index.x, one,
             describe(threads[one]), threads[one].line, other, describe(threads[other]), threads[other].line);
    return false;
}

bool are_together(const Thread &one, const Thread &other) {
    if (one.state != other.state) return false;
    if (one.state == State::AT_BARRIER) return one.line == other.line;
    if (one.state == State::AT_SHUFFLE) return one.line == other.line && one.apart == other.apart;
    return true;
}

// Lanes that wait at a shuffle exchange what they have; false if not all of their warp take part.
bool exchange(unsigned first) {
    uint64_t given[WARP];
    for (unsigned lane = 0; lane < WARP; lane++) {
        const unsigned number = first + lane;
        if (number >= threads.size() || (threads[number].state == State::AT_SHUFFLE && ~threads[number].mask)) {
            snprintf(failure, sizeof failure, "block %u: not all lanes of the warp of thread %u shuffle",
                     block_index.x, first);
            return false;
        }
        if (!are_together(threads[first], threads[number])) return refuse(first, number);
        given[lane] = threads[number].bits;
    }
    for (unsigned lane = 0; lane < WARP; lane++) {
        Thread &thread = threads[first + lane];
        thread.bits = given[(lane ^ (unsigned)thread.apart) % WARP];
        thread.state = State::READY;
        turns.push_back(first + lane);
    }
    return true;
}

// Finds out who can go on when all threads have stopped; false where some never could.
bool let_meet() {
    turns.clear();
    for (unsigned first = 0; first < threads.size(); first += WARP)
        for (unsigned lane = first; lane < std::min<size_t>(first + WARP, threads.size()); lane++)
            if (threads[lane].state == State::AT_SHUFFLE) {
                if (!exchange(first)) return false;
                break;
            }
    if (!turns.empty()) return true;
    for (unsigned k = 1; k < threads.size(); k++)
        if (!are_together(threads[0], threads[k])) return refuse(0, k);
    if (threads[0].state == State::ENDED) return true;
    for (unsigned k = 0; k < threads.size(); k++) {
        threads[k].state = State::READY;
        turns.push_back(k);
    }
    return true;
}

bool run_block(const Launch &launch) {
    threads.assign(launch.threads, Thread{State::NEW, nullptr, 0, 0, 0, 0});
    turns.resize(launch.threads);
    for (unsigned k = 0; k < launch.threads; k++) turns[k] = k;
    while (!turns.empty()) {
        put_in_order(turns, launch.order);
        turn = 0;
        while (turn < turns.size()) resume_next();
        if (!let_meet()) return false;
    }
    return true;
}

// The host thread's own memory of the object that has an address in it.
int find_region(dl_phdr_info *info, size_t, void *wanted) {
    Region &region = *static_cast<Region *>(wanted);
    char *const start = static_cast<char *>(info->dlpi_tls_data);
    size_t size = 0;
    for (int k = 0; k < info->dlpi_phnum; k++)
        if (info->dlpi_phdr[k].p_type == PT_TLS) size = info->dlpi_phdr[k].p_memsz;
    if (!start || region.inside < start || region.inside >= start + size) return 0;
    region.start = start;
    region.size = size;
    return 1;
}

bool is_untouched(const char *start, size_t size) {
    return size == 0 || (start[0] == (char)POISON && !memcmp(start, start + 1, size - 1));
}

}  // namespace

void wait_for_block(int line) { stop(State::AT_BARRIER, line); }

uint64_t meet_warp(int line, unsigned mask, uint64_t bits, int apart) {
    threads[current].mask = mask;
    threads[current].bits = bits;
    threads[current].apart = apart;
    stop(State::AT_SHUFFLE, line);
    return threads[current].bits;
}

// What is wrong with a launch, or NULL; one in which something is goes no further.
const char *run_grid(const Launch &launch, const Shared &shared, const Work &given) {
    work = &given;
    block_size = {launch.threads, 1, 1};
    grid_size = {launch.blocks, 1, 1};
    random_state = (uint64_t)launch.order;
    Region region = {shared.inside, nullptr, 0};
    if (!dl_iterate_phdr(find_region, &region)) return "its shared memory is not found";
    std::vector<unsigned> blocks(launch.blocks);
    for (unsigned k = 0; k < launch.blocks; k++) blocks[k] = k;
    put_in_order(blocks, launch.order);
    for (const unsigned number : blocks) {
        block_index = {number, 0, 0};
        memset(region.start, POISON, region.size);
        if (!run_block(launch)) {
            free_fibers();
            return failure;
        }
        if (!is_untouched(shared.asked + shared.used, shared.size - shared.used))
            return "it writes behind the shared memory that it is given";
    }
    return nullptr;
}

}  // namespace host_cuda
