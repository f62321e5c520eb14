/* The commit protocol (ARCHITECTURE.md, section 4): a batch of two Kafka partitions becomes one commit
 * of a table whose head can be compared and swapped.
 *
 * All instances may believe at once that they own all partitions, so each is the other's zombie. A
 * request to swap the head may be delayed for ever, lost, or carried out while its answer is lost; an
 * instance may give up waiting or crash at any time, with or without its local state. Beside them a
 * compactor commits, and history may be expired (EXPIRY) and an
 * operator may roll the table back (ROLLBACK).
 *
 *   partition 0   records 0 to SPLIT - 1; the last one has the id of record 0: a duplicate
 *   partition 1   record SPLIT
 *   batch         ranges [from, to) of both, the records that are not duplicates, a file, a name
 *
 * What must hold: the table holds the records below its offsets, each once and no duplicate, after
 * every commit (P1, P2); local state knows no id that is not in the table when records are judged
 * (P3); a commit starts where the table is (P4); no file of the table's head is removed.
 *
 * Must hold:
 *   MODE 0   after a conflict or an unknown outcome: reload; batch in the ledger = done; an offset
 *            is not where the batch starts = fenced; otherwise the same batch again on the new head
 *   MODE 1   after a conflict or an unknown outcome the batch is given up
 * Must fail:
 *   MODE 2   the table takes requests without comparing the head
 *   MODE 3   an unknown outcome counts as "not committed"
 *   MODE 4   local state is written before the table
 *   MODE 5   offsets are compared first, then committed without comparing the head
 *   MODE 6   after a conflict the batch goes on the new head, offsets not compared
 *   MODE 7   only a table that is past the end of the batch fences
 *   MODE 8   only one of the two offsets is compared
 *   MODE 9   local state is not caught up before records are judged
 *   MODE 10  an answer to an older request is taken for the current one
 *   MODE 11  a compaction does not carry the offsets on
 *   MODE 12  files of an unknown outcome are removed at once
 *   MODE 13  files of a batch that is not in the ledger are removed, though the ledger was shortened
 *   MODE 14  local state is kept when the table was rolled back
 */
#ifndef MODE
#define MODE 0
#endif
#ifndef INSTANCES
#define INSTANCES 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef EXPIRY
#define EXPIRY 0
#endif
#ifndef ROLLBACK
#define ROLLBACK 0
#endif
#define REQUESTS 2
#define NAMES (INSTANCES + REQUESTS)
#ifndef SPLIT
#define SPLIT 2
#endif
#define RECORDS (SPLIT + 1)
#define ID(record) ((record) == SPLIT - 1 -> 0 : (record))
#define HAS(set, member) (((set) >> (member)) & 1)
#define ADD(set, member) set = set | (1 << (member))
#define REMOVE(set, member) set = set & ~(1 << (member))

/* the table; of its head only matters whether it has moved since somebody looked */
byte epoch; /* how often it was rolled back */
byte offset[2] = {0, SPLIT};
byte rows[RECORDS], ids;
byte live, ledger; /* sets of names */
#if ROLLBACK
byte offset_before[2] = {0, SPLIT};
byte last; /* name + 1 of the batch of the newest commit */
bit rolled_back;
#endif

byte files; /* in storage, by name of their batch */

/* batches by name */
byte from[NAMES * 2], to[NAMES * 2], batch_rows[NAMES];
byte used; /* names whose batch somebody has, or a request */

/* requests on their way */
byte request[REQUESTS]; /* name + 1; 0 = none */
bit request_fits[REQUESTS]; /* the head is the one that it compares with */
#if MODE == 10
byte request_owner[REQUESTS];
#define OWNER(r) request_owner[r]
#define CREDITED(owner, name) 1
#else
#define OWNER(r) (current[0] == request[r] -> 0 : 1)
#define CREDITED(owner, name) (current[owner] == name + 1)
#endif

/* instances */
byte known[INSTANCES], known_epoch[INSTANCES]; /* local state: ids, and of which table */
byte answer[INSTANCES];                        /* 0 none, 1 committed, 2 conflict */
byte current[INSTANCES];                       /* name + 1 of the batch it waits for */
bit moved[INSTANCES];  /* the head, since its last request */
bit cut_off[INSTANCES]; /* the ledger does not reach back to the head of that request */
byte faults;

inline check_table()
{
    d_step {
        assert((live & ~files) == 0);
        i = 0;
        do
        :: i < RECORDS ->
            assert(rows[i] ==
                   ((i < SPLIT -> i < offset[0] : i < offset[1]) && i != SPLIT - 1 -> 1 : 0));
            i++
        :: else -> break
        od;
        i = 0
    }
}

inline move_head(name)
{
    d_step {
#if ROLLBACK
        if
        :: !rolled_back ->
            offset_before[0] = offset[0];
            offset_before[1] = offset[1];
            last = name
        :: else -> offset_before[0] = 0; offset_before[1] = 0; last = 0
        fi;
#endif
        i = 0;
        do
        :: i < REQUESTS -> request_fits[i] = 0; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < INSTANCES -> moved[i] = (current[i] > 0); i++
        :: else -> break
        od;
        i = 0
    }
}

inline commit(name)
{
    move_head(name + 1);
    i = 0;
    do
    :: i < RECORDS ->
        if
        :: HAS(batch_rows[name], i) -> rows[i]++; ADD(ids, ID(i))
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < 2 ->
        if
        :: to[name * 2 + i] > from[name * 2 + i] ->
            assert(offset[i] == from[name * 2 + i]); /* P4 */
            offset[i] = to[name * 2 + i]
        :: else
        fi;
        i++
    :: else -> break
    od;
    ADD(live, name);
    ADD(ledger, name);
    check_table()
}

inline new_name(ret)
{
    d_step {
        ret = 0;
        do
        :: ret < NAMES && HAS(used, ret) -> ret++
        :: else -> break
        od
    }
}
/* Names that nobody has in mind and no request carries can do nothing any more: their files stay as
 * they are. They are forgotten, so that states differ only where it matters. */
inline forget_names()
{
    d_step {
        used = 0;
        i = 0;
        do
        :: i < INSTANCES ->
            if
            :: current[i] > 0 -> ADD(used, current[i] - 1)
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < REQUESTS ->
            if
            :: request[i] > 0 -> ADD(used, request[i] - 1)
            :: else
            fi;
            i++
        :: else -> break
        od;
        live = live & used;
        ledger = ledger & used;
        files = files & used;
#if ROLLBACK
        if
        :: last > 0 && !HAS(used, last - 1) -> last = 0
        :: else
        fi;
#endif
        i = 0;
        do
        :: i < NAMES ->
            if
            :: !HAS(used, i) ->
                from[i * 2] = 0; from[i * 2 + 1] = 0;
                to[i * 2] = 0; to[i * 2 + 1] = 0;
                batch_rows[i] = 0
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

#define MOVED(p) (to[name * 2 + p] > from[name * 2 + p] && offset[p] != from[name * 2 + p])
#define PASSED(p) (to[name * 2 + p] > from[name * 2 + p] && offset[p] >= to[name * 2 + p])
#if MODE == 2 || MODE == 3 || MODE == 6
#define FENCED 0
#elif MODE == 7
#define FENCED (PASSED(0) || PASSED(1))
#elif MODE == 8
#define FENCED MOVED(0)
#else
#define FENCED (MOVED(0) || MOVED(1))
#endif
#if MODE == 13
#define NEVER_LANDS moved[_pid]
#else
#define NEVER_LANDS (moved[_pid] && !cut_off[_pid])
#endif

#define ON_ITS_WAY (request[0] == name + 1 || request[1] == name + 1)

active [INSTANCES] proctype instance()
{
    byte name, i;

load:
    atomic { /* from the table, and local state is brought to it */
        current[_pid] = 0;
        answer[_pid] = 0;
        moved[_pid] = 0;
        cut_off[_pid] = 0;
        name = 0;
        forget_names();
#if MODE != 14
        if
        :: known_epoch[_pid] != epoch -> known[_pid] = 0
        :: else
        fi;
#endif
        known_epoch[_pid] = epoch;
#if MODE != 9
        known[_pid] = known[_pid] | ids;
#endif
        assert((known[_pid] & ~ids) == 0 || MODE == 14 || MODE == 10 || MODE == 4); /* P3 */
        new_name(name);
        if
        :: name == NAMES || (offset[0] == SPLIT && offset[1] == RECORDS) ->
            name = 0;
            goto stop
        :: else
        fi;
        from[name * 2] = offset[0];
        from[name * 2 + 1] = offset[1];
        to[name * 2] = offset[0];
        to[name * 2 + 1] = offset[1];
        batch_rows[name] = 0;
        current[_pid] = name + 1;
        ADD(used, name);
        ADD(files, name);
        /* any cut with at least one record */
        i = known[_pid];
        do
        :: to[name * 2] < SPLIT ->
            if
            :: !HAS(i, ID(to[name * 2])) ->
                ADD(batch_rows[name], to[name * 2]);
                ADD(i, ID(to[name * 2]))
            :: else
            fi;
            to[name * 2]++
        :: to[name * 2 + 1] < RECORDS ->
            if
            :: !HAS(i, to[name * 2 + 1]) -> ADD(batch_rows[name], to[name * 2 + 1])
            :: else
            fi;
            to[name * 2 + 1]++
        :: to[name * 2] > from[name * 2] || to[name * 2 + 1] > from[name * 2 + 1] -> break
        od;
#if MODE == 4
        known[_pid] = i;
#endif
        i = 0
    }
attempt:
    atomic {
        if
#if MODE != 3
        :: HAS(ledger, name) -> goto committed
#endif
        :: FENCED -> goto given_up
        :: else
        fi;
        if
        :: request[0] == 0 -> i = 0
        :: request[0] != 0 && request[1] == 0 -> i = 1
        :: else -> goto given_up /* enough on their way for this model */
        fi;
        request[i] = name + 1;
        request_fits[i] = 1;
#if MODE == 10
        request_owner[i] = _pid;
#endif
        moved[_pid] = 0;
        cut_off[_pid] = 0;
        answer[_pid] = 0;
        i = 0
    }
    if
    :: atomic { answer[_pid] == 1 -> goto committed }
    :: atomic {
           answer[_pid] == 2 ->
#if MODE == 1
           goto given_up
#else
           goto attempt
#endif
       }
    :: atomic {
           faults < FAULTS || !ON_ITS_WAY -> /* no answer in time */
           if
           :: ON_ITS_WAY -> faults++
           :: else
           fi;
#if MODE == 12
           if
           :: !HAS(ledger, name) -> REMOVE(files, name); goto load
           :: else -> goto attempt
           fi
#elif MODE == 1
           goto given_up
#else
           goto attempt
#endif
       }
    :: atomic { faults < FAULTS -> faults++; goto load } /* a crash */
    :: atomic { faults < FAULTS -> faults++; known[_pid] = 0; goto load } /* the disk, too */
    fi;

committed: /* a crash here: the load catches up */
    atomic {
        i = 0;
        do
        :: i < RECORDS ->
            if
            :: HAS(batch_rows[name], i) -> ADD(known[_pid], ID(i))
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
    goto load;

given_up:
    atomic {
        if
        :: !HAS(ledger, name) && NEVER_LANDS -> REMOVE(files, name)
        :: else
        fi;
        goto load
    }
stop:
    skip
}

/* Carries requests out at any time, or never; the answer may be lost. */
active [REQUESTS] proctype network()
{
    byte me, name, who, i;
    bit fits;
    me = _pid - INSTANCES;
end:
    do
    :: atomic {
           request[me] > 0 ->
           name = request[me] - 1;
           who = OWNER(me);
           fits = request_fits[me] || MODE == 2 || MODE == 5;
           request[me] = 0;
           request_fits[me] = 0;
#if MODE == 10
           request_owner[me] = 0;
#endif
           if
           :: skip /* lost */
           :: fits ->
               commit(name);
               if
               :: answer[who] == 0 && CREDITED(who, name) -> answer[who] = 1
               :: skip
               fi
           :: !fits && answer[who] == 0 && CREDITED(who, name) -> answer[who] = 2
           fi;
           forget_names();
           name = 0; who = 0; fits = 0
       }
    od
}

active proctype compactor()
{
    byte i;
    atomic { /* its compare-and-swap succeeded; when it fails nothing happens */
        move_head(0);
#if MODE == 11
        offset[0] = 0
#endif
    }
}

#if EXPIRY
active proctype expiry()
{
    byte i;
    d_step { /* history becomes short: the head, and what comes after it */
        ledger = 0;
        i = 0;
        do
        :: i < INSTANCES -> cut_off[i] = moved[i]; i++
        :: else -> break
        od;
        i = 0
    }
}
#endif

#if ROLLBACK
active proctype operator()
{
    byte i, back, gone;
    atomic { /* a new head with the content of the one before */
        back = offset_before[0];
        gone = offset_before[1];
        if
        :: last > 0 -> REMOVE(live, last - 1); REMOVE(ledger, last - 1)
        :: else
        fi;
        rolled_back = 1;
        move_head(0);
        epoch++;
        offset[0] = back;
        offset[1] = gone;
        back = 0; gone = 0;
        d_step {
            ids = 0;
            i = 0;
            do
            :: i < RECORDS ->
                rows[i] = (i < SPLIT -> i < offset[0] : i < offset[1]) && i != SPLIT - 1;
                if
                :: rows[i] > 0 -> ADD(ids, ID(i))
                :: else
                fi;
                i++
            :: else -> break
            od;
            i = 0
        }
        check_table()
    }
}
#endif
