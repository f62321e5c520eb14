/* The chain of slots: how instances of this program that share one Hudi table take turns, on a file
 * system that has put-if-absent (link) and rename, and nothing else that is atomic.
 *
 * Every step of a writer is one operation on a file, and any process may stop between any two of
 * them for as long as it likes, so a writer that stands still is the zombie that comes back.
 *
 *   a change     a data file and an instant, both written to a staging folder; kind: rows of the
 *                records [first, next), or a rewrite (first = next), as compaction does
 *   slot n       names one change; made by put-if-absent; never changed
 *   head         the slot with the highest number
 *   helping      renaming the staged files of the head's change to their places, the instant last:
 *                that publishes. Whoever finds it undone does it. A rename works once.
 *   a turn       list, read the head, help it, read the table's offsets, stage, put the next slot,
 *                look whether it counts, help it
 *   cleaning     slots below head - KEPT are removed, in ascending order. From then on
 *                their numbers are free, and somebody who planned long ago may take one again: such
 *                a slot is stale. Nobody may ever do what it says.
 *
 * What must hold (P1, P2, P4 of ARCHITECTURE.md), after every publication:
 *   the rows of the table are the records below its offset, each once; a change is only published
 *   when it starts where the table is, and its data file is in its place.
 *
 * Must hold:
 *   MODE 0   the head is listed again after its slot was read, and helped only if it still is the
 *            head; a slot that was put counts when the slot after it names its change as its
 *            predecessor, or when a list shows nothing higher
 * Must fail:
 *   MODE 1   a slot that was put counts at once
 *   MODE 2   a slot counts when the slot before it is there and holds the change that it names
 *   MODE 3   what stands in the head's slot is helped without a second look
 *   MODE 4   the next slot is put without helping the head
 *   MODE 5   offsets are read before the head
 *   MODE 6   slots are put without looking whether they exist
 *   MODE 7   the instant is renamed before the data file
 *   MODE 8   staged files are removed when it is not known whether the slot was put
 *   MODE 9   helping copies: what is not in its place is put there (an archiver takes instants away)
 */
#ifndef MODE
#define MODE 0
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef RECORDS
#define RECORDS 3
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef REWRITES
#define REWRITES 1
#endif
#ifndef SLOTS
#define SLOTS 4
#endif
#ifndef CHANGES
#define CHANGES 7 /* names of changes: 1 to CHANGES - 1; 0 = none */
#endif
#ifndef KEPT
#define KEPT 1
#endif
#ifndef CUT
#define CUT 2 /* most records of a change */
#endif

#define GONE 0
#define STAGED 1
#define PLACED 2
#define ARCHIVED 3

byte slot[SLOTS + 2];     /* the change it names; 0 = there is no such file */
byte previous[SLOTS + 2]; /* the change of the slot before it */

byte first[CHANGES], next[CHANGES];
byte data[CHANGES], instant[CHANGES];
bit held[CHANGES]; /* a writer still knows the name: it is not given to another change */

byte offset;        /* of the table */
byte rows[RECORDS]; /* how often each record is in the table */

byte crashes, rewrites;

inline find_head(ret)
{
    ret = SLOTS + 1;
    do
    :: ret > 0 && slot[ret] == 0 -> ret--
    :: else -> break
    od
}

inline publish(c)
{
    assert(data[c] == PLACED);     /* a reader would look for it */
    assert(first[c] == offset);    /* P4: otherwise the writer is fenced */
    instant[c] = PLACED;
    i = first[c];
    do
    :: i < next[c] -> rows[i]++; i++
    :: else -> break
    od;
    offset = next[c];
    i = 0;
    do
    :: i < RECORDS -> assert(rows[i] == (i < offset -> 1 : 0)); i++ /* P1, P2 */
    :: else -> break
    od;
    i = 0
}

/* The two renames. Whoever comes second is told that the staged file is not there and goes on. */
inline place_data(c)
{
    atomic {
        if
        :: data[c] == STAGED -> data[c] = PLACED
        :: else
        fi
    }
}
inline place_instant(c)
{
    atomic {
        if
        :: instant[c] == STAGED -> publish(c)
#if MODE == 9
        :: instant[c] == ARCHIVED -> publish(c)
#endif
        :: else
        fi
    }
}
inline help(c)
{
#if MODE == 7
    place_instant(c);
    place_data(c)
#else
    place_data(c);
    place_instant(c)
#endif
}

/* Names that nobody can mean any more are free, the lowest is taken. */
inline name_change(ret)
{
    i = 1;
    do
    :: i < CHANGES ->
        j = 1;
        do
        :: j <= SLOTS + 1 && slot[j] != i && previous[j] != i -> j++
        :: else -> break
        od;
        if
        :: !held[i] && data[i] == GONE && instant[i] == GONE && j > SLOTS + 1 -> break
        :: else -> i++
        fi
    :: else -> break
    od;
    ret = i;
    i = 0; j = 0
}

active [WRITERS] proctype writer()
{
    byte head, base, start, mine, seen, i, j;

turn:
    atomic {
        held[mine] = 0; /* 0 is nobody's name */
        mine = 0; base = 0; start = 0;
#if MODE == 5
        start = offset;
    }
    atomic {
#endif
        find_head(head);
        if
        :: head == 0 -> goto plan
        :: else
        fi
    }
    atomic {
        base = slot[head];
        if
        :: base == 0 -> goto turn /* cleaned away meanwhile */
        :: else
        fi
    }
#if MODE != 3
    atomic {
        find_head(seen);
        if
        :: seen != head -> seen = 0; goto turn
        :: else -> seen = 0
        fi
    }
#endif
#if MODE != 4
    help(base);
#endif
plan:
    atomic {
#if MODE != 5
        start = offset;
#endif
        name_change(mine);
        if
        :: head >= SLOTS || mine == CHANGES ||
           (start >= RECORDS && rewrites >= REWRITES) -> mine = 0; goto stop
        :: else
        fi;
        held[mine] = 1;
        first[mine] = start;
        if
        :: start + 1 <= RECORDS -> next[mine] = start + 1
        :: start + 2 <= RECORDS && CUT >= 2 -> next[mine] = start + 2
        :: rewrites < REWRITES -> next[mine] = start; rewrites++
        fi;
        data[mine] = STAGED;
        instant[mine] = STAGED
    }
put:
    atomic {
        if
        :: slot[head + 1] == 0 || MODE == 6 ->
            slot[head + 1] = mine;
            previous[head + 1] = base
        :: slot[head + 1] != 0 && MODE != 6 -> /* conflict */
            goto drop
        fi;
        if
        :: skip
        :: crashes < CRASHES -> /* memory is lost, files stay */
            crashes++;
            goto turn
        :: crashes < CRASHES -> /* alive, but the answer was lost */
            crashes++;
            goto unknown
        fi
    }
check:
#if MODE == 1
    skip;
#elif MODE == 2
    atomic {
        if
        :: head > 0 && slot[head] != base -> goto lost
        :: else
        fi
    }
#else
    if
    :: atomic { slot[head + 2] != 0 ->
           if
           :: previous[head + 2] != mine -> goto lost
           :: else
           fi
       }
    :: slot[head + 2] == 0 ->
       atomic {
           find_head(seen);
           if
           :: seen > head + 1 -> seen = 0; goto lost
           :: else -> seen = 0
           fi
       }
    fi;
#endif
    help(mine);
    goto turn;

unknown:
    atomic {
#if MODE == 8
        goto drop
#else
        if
        :: slot[head + 1] == mine -> goto check
        :: slot[head + 1] == 0 -> goto put /* was it never there, or cleaned away? */
        :: else
        fi
#endif
    }
lost: /* stale, or done by others long ago: what is still staged was never decided */
    atomic {
        if
        :: slot[head + 1] == mine -> slot[head + 1] = 0; previous[head + 1] = 0
        :: else
        fi
    }
drop:
    atomic {
        if
        :: data[mine] == STAGED -> data[mine] = GONE
        :: else
        fi
    }
    atomic {
        if
        :: instant[mine] == STAGED -> instant[mine] = GONE
        :: else
        fi;
        goto turn
    }
stop:
    skip
}

/* Removes what a list showed; the list may be old when it goes on. */
active proctype cleaner()
{
    byte low, high;
end:
    do
    :: atomic {
           find_head(high);
           if
           :: high > KEPT + 1 -> high = high - KEPT - 1
           :: else -> high = 0
           fi;
           low = 1
       }
       do
       :: low <= high ->
           atomic { slot[low] = 0; previous[low] = 0; low++ }
       :: else -> break
       od;
       atomic { low = 0; high = 0 }
    od
}

#if MODE == 9
active proctype archiver()
{
    byte c = 1;
end:
    do
    :: atomic { c < CHANGES && instant[c] == PLACED && next[c] < offset -> instant[c] = ARCHIVED }
    :: atomic { c < CHANGES - 1 -> c++ }
    od
}
#endif
