/* split.pml - a small model of a task in parts (shm/SCHEMA.md, "Splits"): seats, parts, generations, spoiling, recovery.
 *
 * One task of two parts, one phase; two workers, of which one owns the task and the other may help. DEATHS of them die,
 * each between any two steps, are recovered while the other goes on, and replaced: in their own place or, once, in that of
 * a third worker (so that the second attempt has another board than the first). Each attempt writes to a range of its
 * own; a part works in place, so a range shows if it ran twice or half. Reading a phase's words is one step (they are
 * read under a seqlock); waiting is blocking. Memory is sequentially consistent: weaker orders are argued at the calls.
 *
 * Checked by exhaustive search (check.sh): the task ends, with every part of its range whole; nobody writes to a range
 * whose task is finished, or reads arguments that may be gone; no state in which everybody waits.
 *
 * Mutants, each of which must fail:
 *   -DMUTANT_NO_TAG        a part is reported whatever the generation
 *   -DMUTANT_NO_WAIT       the owner closes without waiting for helpers to leave
 *   -DMUTANT_NO_RECHECK    a helper does not look at the state again once it has its seat
 *   -DMUTANT_LATE_ANNOUNCE a helper announces a part after it took it
 *   -DMUTANT_NO_SPOIL      recovery does not tell the owner that a helper died with a part
 *   -DMUTANT_NO_SETTLE     the second attempt ends while a helper of the first is at work
 *   -DMUTANT_SAME_RANGE    what is done again alone is done in the same range */

#ifndef DEATHS
#define DEATHS 1
#endif

#define READY 1
#define RUNNING 2
#define DONE 3
#define RANGES 6

byte state, owner, deaths_of_task; /* the task */
byte range_of_result;
byte ranges;           /* handed out */
byte part_at[12];      /* of range r: parts 2r and 2r + 1: 0 untouched, 1 half, 2 whole */
bool sealed[RANGES];   /* its task is finished */
bool arguments_gone;   /* the task is finished: the coordinator may let its arguments go */

/* the board, by owner */
byte generation[3];
bool open[3];
byte board_range[3];
byte taken[3], taken_generation[3];
byte done[3], done_generation[3];
bool spoiled[3];
/* by helper */
byte helps[3]; /* owner + 1 */
byte holds[3]; /* part + 1 */

bool dead[3], gone[3];
bool third; /* the third worker's place is taken */

#define nobody_helps(o) (helps[0] != (o) + 1 && helps[1] != (o) + 1 && helps[2] != (o) + 1)
#define nobody_reads (helps[0] == 0 && helps[1] == 0 && helps[2] == 0)
byte deaths;
bool stop;

#define cell(r, p) part_at[2 * (r) + (p)]

/* Two steps of a part: a death in between leaves it half. */
inline run_part(r, p) {
    atomic { assert(!sealed[r] && !arguments_gone); assert(cell(r, p) == 0); cell(r, p) = 1 };
    atomic { assert(!sealed[r] && !arguments_gone); cell(r, p) = 2 }
}

/* A free part of the owner o's phase g: p = 2 if there is none. A helper announces it first. */
inline take_part(o, g, announces) {
    p = 2;
    do
    :: atomic {
            if
            :: taken_generation[o] == g && generation[o] == g && !(taken[o] & 1) -> p = 0
            :: taken_generation[o] == g && generation[o] == g && !(taken[o] & 2) -> p = 1
            :: else -> p = 2
            fi;
#ifndef MUTANT_LATE_ANNOUNCE
            if
            :: announces && p < 2 -> holds[w] = p + 1
            :: else
            fi
#endif
        };
        if
        :: p == 2 -> break
        :: else
        fi;
        atomic {
            ok = (taken_generation[o] == g && !(taken[o] & (1 << p)));
            if
            :: ok -> taken[o] = taken[o] | (1 << p)
            :: else
            fi
        };
        if
        :: ok ->
#ifdef MUTANT_LATE_ANNOUNCE
            if
            :: announces -> holds[w] = p + 1
            :: else
            fi;
#endif
            break
        :: else
        fi
    od;
    ok = false
}

inline report(o, g) {
    atomic {
        if
#ifdef MUTANT_NO_TAG
        :: true -> done[o]++
#else
        :: done_generation[o] == g -> done[o]++
        :: else
#endif
        fi
    }
}

inline new_range() {
    atomic { assert(ranges < RANGES); r = ranges; ranges++ }
}

/* The worker w runs the task that it has claimed. */
inline own() {
    new_range();
    /* open: the state last */
    atomic { spoiled[w] = false; g = generation[w] + 1; board_range[w] = r };
    atomic { taken[w] = 0; taken_generation[w] = g };
    atomic { done[w] = 0; done_generation[w] = g };
    atomic { generation[w] = g; open[w] = true };
    do
    :: take_part(w, g, false);
        if
        :: p == 2 -> break
        :: else -> run_part(r, p); report(w, g)
        fi
    od;
    (done[w] == 2 || spoiled[w]);
    ok = (done[w] == 2);
    /* close */
    atomic { open[w] = false; generation[w] = generation[w] + 1 };
#ifndef MUTANT_NO_WAIT
    nobody_helps(w);
#endif
    if
    :: !ok ->
#ifndef MUTANT_SAME_RANGE
        new_range();
#endif
        run_part(r, 0);
        run_part(r, 1)
    :: else
    fi;
    ok = false;
#ifndef MUTANT_NO_SETTLE
    if
    :: deaths_of_task > 0 -> nobody_reads
    :: else
    fi;
#endif
    atomic {
        assert(state == RUNNING && owner == w);
        assert(cell(r, 0) == 2 && cell(r, 1) == 2);
        sealed[r] = true;
        range_of_result = r;
        arguments_gone = true;
        state = DONE
    }
}

/* The worker w helps the worker o. */
inline help() {
    atomic { g = generation[o]; r = board_range[o]; ok = open[o] };
    if
    :: ok ->
        helps[w] = o + 1;
#ifdef MUTANT_NO_RECHECK
        ok = true;
#else
        ok = (open[o] && generation[o] == g);
#endif
        do
        :: !ok -> break
        :: ok ->
            assert(!arguments_gone && !sealed[r]); /* it maps them */
            take_part(o, g, true);
            if
            :: p == 2 -> break
            :: else -> run_part(r, p); report(o, g); holds[w] = 0
            fi;
            ok = true
        od;
        atomic { holds[w] = 0; helps[w] = 0 }
    :: else
    fi
}

proctype worker(byte w) {
    byte r, g, p, o;
    bool ok;
    {
        do
        :: stop -> break
        :: atomic { !stop && state == READY -> state = RUNNING; owner = w };
            own();
            r = 0; g = 0; p = 0
        :: atomic {
                !stop && ((w != 0 && open[0] && taken[0] != 3) || (w != 1 && open[1] && taken[1] != 3) ||
                          (w != 2 && open[2] && taken[2] != 3)) ->
                if
                :: w != 0 && open[0] && taken[0] != 3 -> o = 0
                :: w != 1 && open[1] && taken[1] != 3 -> o = 1
                :: w != 2 && open[2] && taken[2] != 3 -> o = 2
                fi
            };
            help();
            atomic { r = 0; g = 0; p = 0; o = 0; ok = false }
        od
    } unless { dead[w] };
    gone[w] = true
}

/* The process of w has ended. */
inline recover(w) {
    atomic { open[w] = false; generation[w] = generation[w] + 1 };
    if
    :: helps[w] != 0 ->
#ifndef MUTANT_NO_SPOIL
        if
        :: holds[w] != 0 -> atomic { spoiled[helps[w] - 1] = true; deaths_of_task++ }
        :: else
        fi;
#endif
        atomic { helps[w] = 0; holds[w] = 0 }
    :: else
    fi;
    atomic {
        if
        :: state == RUNNING && owner == w -> deaths_of_task++; state = READY
        :: else
        fi
    };
    atomic {
        dead[w] = false; gone[w] = false;
        if
        :: run worker(w)
        :: !third -> third = true; run worker(2)
        fi
    }
}

proctype coordinator() {
    do
    :: state == DONE && !dead[0] && !dead[1] -> break
    :: gone[0] && dead[0] -> recover(0)
    :: gone[1] && dead[1] -> recover(1)
    od;
    assert(cell(range_of_result, 0) == 2 && cell(range_of_result, 1) == 2);
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
        state = READY;
        run worker(0);
        run worker(1);
        run coordinator();
        run killer()
    }
}
