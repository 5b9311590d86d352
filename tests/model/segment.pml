/* segment.pml - a small model of the shared segment's protocol (shm/SCHEMA.md, "The segment"): state word, readiness bits
 * with a summary, the edge Dekker, completions, journal, death at any step, recovery, slots that are used again.
 *
 * Three tasks: A (0) and B (1) without arguments, T (2) with the arguments A, B; with -DDUPLICATE: A, B, A. T's bit 1 lies
 * in word 1, the others in word 0, so there is a summary. When all three are known to be finished, A and T are freed, and
 * their slots serve a second life: a new A, and a new T with the arguments B (the old one, done) and A, so that what is
 * left over of the first life would clear the wrong bit. Two workers; DEATHS of them die, each between any two steps, are recovered while the
 * other goes on, and replaced. The deques are one bag of hints (an entry is announced, then removed); sleeping is blocking
 * on the bag. Memory is sequentially consistent: orders weaker than that are argued at the calls and, for the two places
 * where store buffers matter, shown by the mutants below.
 *
 * Checked by exhaustive search (check.sh): no state in which everybody waits and a task is not known to be finished; a
 * task runs only when all its arguments have results; DONE is final; only the owner finishes.
 *
 * Mutants, each of which must fail:
 *   -DMUTANT_NO_RECHECK    submit looks at the argument's state only before it links the edge (as if the load could pass
 *                          the store)
 *   -DMUTANT_EARLY_WALK    finish reads the list of edges before DONE is visible (as if DONE sat in a store buffer)
 *   -DMUTANT_NO_REDO       recovery does not queue a successor that is READY already
 *   -DMUTANT_LATE_JOURNAL  a taker announces the task after it removed the entry
 *   -DMUTANT_ZERO_ONLY     only who turned a word to 0 goes on to the summary
 *   -DMUTANT_EARLY_FREE    T is freed when it is finished, without waiting for the completions of its arguments, whose
 *                          finishers may still walk over its links
 *   -DMUTANT_WALK_AGAIN    taking a completion does not end the list of edges: recovery may walk it again
 *   -DMUTANT_UNTAGGED      a completion does not say of which life of the slot it speaks */

#ifndef DEATHS
#define DEATHS 1
#endif

#define A 0
#define B 1
#define T 2

#define WAITING 1
#define READY 2
#define RUNNING 3
#define DONE 4

#define IDLE 0
#define TAKING 1
#define FINISHING 2 /* the journal's RUNNING differs from TAKING only in what counts as a death */

byte state[3], owner[3];
bool result[3]; /* what the kernel writes: plain memory */
byte hints[3];  /* entries in deques */
byte edges[3];  /* the lists of successors: numbers of T's edges, a bit each */
bit life[3];    /* of the slot: its attempt, which grows */
byte word[2];   /* readiness words of T */
byte summary;
byte phase[2], subject[2]; /* journals */
bool dead[2], gone[2];
byte ring[2]; /* completions on their way, per life, a bit per task; which ring does not matter */
bool told[3]; /* what the coordinator knows */
byte deaths;
bool stop;

#define argument_of(i) ((i) == 1 -> (life[T] -> A : B) : (life[T] -> B : A))
#define word_of(i) ((i) == 1 -> 1 : 0)

inline queue(t) {
    atomic { assert(hints[t] < 8); hints[t]++ }
}

/* T's bit i. `before` and `zero` are the caller's locals. */
inline clear(i, redo) {
    atomic {
        before = word[word_of(i)];
        word[word_of(i)] = word[word_of(i)] & ~(1 << i);
        zero = (word[word_of(i)] == 0);
#ifdef MUTANT_ZERO_ONLY
        zero = (zero && before != 0);
#endif
        before = 0
    };
    if
    :: zero ->
        atomic { summary = summary & ~(1 << word_of(i)); zero = (summary == 0) };
        if
        :: zero ->
            atomic {
                if
                :: state[T] == WAITING -> state[T] = READY
                :: else -> zero = (redo && state[T] == READY)
                fi
            };
            if
            :: zero -> atomic { assert(hints[T] < 8); hints[T]++; zero = false }
            :: else
            fi
        :: else
        fi
    :: else
    fi
}

/* Clears the bits of all edges in `list`. */
inline walk(list, redo) {
    if
    :: list & 1 -> clear(0, redo)
    :: else
    fi;
    if
    :: list & 4 -> clear(2, redo) /* only with DUPLICATE */
    :: else
    fi;
    if
    :: list & 2 -> clear(1, redo)
    :: else
    fi
}

/* Dies between any two steps once dead[w] is set. Steps that only this worker can see are joined with the next one that
 * others can see: a death between them leaves the same. */
proctype worker(byte w) {
    byte t, list, before;
    bool zero, ok;
    {
        do
        :: stop -> break
        :: atomic { !stop && (hints[A] || hints[B] || hints[T]) ->
                if
                :: hints[A] -> t = A
                :: hints[B] -> t = B
                :: hints[T] -> t = T
                fi;
#ifndef MUTANT_LATE_JOURNAL
                phase[w] = TAKING; subject[w] = t
#endif
            };
            atomic {
                ok = (hints[t] > 0);
                if
                :: ok -> hints[t]--
                :: else
                fi
            };
#ifdef MUTANT_LATE_JOURNAL
            atomic { phase[w] = TAKING; subject[w] = t };
#endif
            atomic {
                ok = ok && (state[t] == READY);
                if
                :: ok -> state[t] = RUNNING; owner[t] = w
                :: else -> t = 0
                fi
            };
            if
            :: ok ->
                /* the kernel */
                atomic {
                    assert(t != T || (result[A] && result[B] && state[A] == DONE && state[B] == DONE));
                    result[t] = true;
                    phase[w] = FINISHING; subject[w] = t
                };
#ifdef MUTANT_EARLY_WALK
                list = edges[t];
#endif
                atomic { assert(state[t] == RUNNING && owner[t] == w && result[t]); state[t] = DONE };
#ifndef MUTANT_EARLY_WALK
                list = edges[t];
#endif
                walk(list, false);
                atomic { ring[life[t]] = ring[life[t]] | (1 << t); list = 0 };
                atomic { phase[w] = IDLE; subject[w] = 0; ok = false; t = 0 }
            :: else
            fi
        od
    } unless { dead[w] };
    gone[w] = true
}

/* The coordinator learns that t is finished: nobody walks over the edges behind it any more. */
inline take(t) {
    atomic {
        told[t] = true;
#ifndef MUTANT_WALK_AGAIN
        edges[t] = 0
#endif
    }
}

/* An entry of a ring, which may be older than the task that has the slot now. */
inline pop(t, l) {
    atomic {
        ring[l] & (1 << t) ->
        ring[l] = ring[l] & ~(1 << t);
        if
#ifdef MUTANT_UNTAGGED
        :: true -> take(t)
#else
        :: life[t] == l && state[t] == DONE -> take(t)
        :: else
#endif
        fi
    }
}

/* The process of w has ended. */
inline recover(w) {
    t = subject[w];
    if
    :: phase[w] != IDLE && state[t] == RUNNING && owner[t] == w ->
        result[t] = false;
        state[t] = READY;
        queue(t)
    :: phase[w] == TAKING && state[t] == READY ->
        queue(t)
    :: phase[w] == FINISHING && state[t] == DONE && owner[t] == w ->
        list = edges[t];
#ifdef MUTANT_NO_REDO
        walk(list, false);
#else
        walk(list, true);
#endif
        take(t)
    :: else
    fi;
    atomic {
        phase[w] = IDLE; subject[w] = 0;
        t = 0; list = 0;
        dead[w] = false; gone[w] = false;
        run worker(w)
    }
}

inline submit_argument(i) {
    if
    :: state[argument_of(i)] == DONE -> clear(i, false)
    :: else ->
#ifdef MUTANT_NO_RECHECK
        edges[argument_of(i)] = edges[argument_of(i)] | (1 << i)
#else
        edges[argument_of(i)] = edges[argument_of(i)] | (1 << i);
        if
        :: state[argument_of(i)] == DONE -> clear(i, false)
        :: else
        fi
#endif
    fi
}

/* A and T are freed; the next tasks get their slots. */
inline reuse() {
    atomic {
        life[A] = 1; life[T] = 1;
        told[A] = false; told[T] = false;
        result[A] = false; result[T] = false;
        edges[A] = 0; edges[T] = 0;
        word[0] = 1; word[1] = 2; summary = 3;
        state[T] = WAITING;
        state[A] = READY
    };
    queue(A);
    submit_argument(0);
    submit_argument(1)
}

proctype coordinator() {
    byte t, list, before;
    bool zero;
    submit_argument(0);
    submit_argument(1);
#ifdef DUPLICATE
    submit_argument(2);
#endif
    do
#ifdef MUTANT_EARLY_FREE
    :: !life[T] && told[A] && told[T] && state[B] == DONE -> reuse()
#else
    :: !life[T] && told[A] && told[B] && told[T] -> reuse()
#endif
    :: life[T] && told[A] && told[B] && told[T] && !dead[0] && !dead[1] -> break
    :: pop(A, 0)
    :: pop(B, 0)
    :: pop(T, 0)
    :: pop(A, 1)
    :: pop(T, 1)
    :: gone[0] && dead[0] -> recover(0)
    :: gone[1] && dead[1] -> recover(1)
    od;
    assert(state[A] == DONE && state[B] == DONE && state[T] == DONE);
    stop = true
}

proctype killer() {
    do
    :: atomic { deaths < DEATHS && !stop && !dead[0] -> dead[0] = true; deaths++ }
    :: atomic { deaths < DEATHS && !stop && !dead[1] -> dead[1] = true; deaths++ }
    :: break /* or fewer */
    od
}

init {
    atomic {
        state[A] = READY;
        state[B] = READY;
        state[T] = WAITING;
        hints[A] = 1;
        hints[B] = 1;
#ifdef DUPLICATE
        word[0] = 5;
#else
        word[0] = 1;
#endif
        word[1] = 2;
        summary = 3;
        run worker(0);
        run worker(1);
        run coordinator();
        run killer()
    }
}
