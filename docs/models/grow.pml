/* An MPMC ring that grows while it runs: a chain of rings, each the successor of the one before.

   A ring has: tail (with a bit `sealed`), head, slots, entries with an intent each, a lock for each seat and one for the right
   to recover, as in mpmc.pml; and `recorded`: the identity of a successor. A successor has a hidden name until its
   predecessor is gone: `linked`. What has the public name is the entry: the oldest ring that is not `gone`.

   grow, by anybody, of the last ring r of the chain. The successor is built whole before, without a name.
     1  take r's recovery lock. Sealed meanwhile: it is not the last any more; start again
     2  a successor is recorded already: its maker died. It has its hidden name: 5. It has none: take the record back
     3  record the successor's identity
     4  link its hidden name
     5  tail |= sealed. From here on the tail is final, T: every claim under way expects an unsealed tail, and fails. Wake all
        on both words
     6  give the lock back
   push  meets a sealed tail: clear the own intent, move to the successor, and push there.
   pop   finds nothing to pop, the tail sealed and head == T: clear the own intent, wake all on not_empty, move. Not
        before: below T there may be a position that is claimed and not published, and who passes it breaks the order.
   move  to the successor: take its recovery lock, take the lock of the seat with the same number, say so in the entry, give
        the recovery lock back. The seats of the older rings are kept until these are gone, so
          (A) before r is gone, a seat of r's successor is held only by who holds the same seat of r: it can't be taken, and
          (B) whoever takes part holds a seat of the entry.
   attach  open what has the public name; take its recovery lock; gone meanwhile: open again. Finish a grow as in 2. Recover it, and
        each ring of the chain under its own lock. Take the first seat that is free and owes nothing in all of them. Who moved
        follows as everybody does.
   recovery  is that of mpmc.pml, for each ring in which one has a seat: a consumer adopts orphans of an older ring too,
        into its entry there. At most one of its entries is used at a time.
   gone  the oldest ring r goes, under its recovery lock, when it is sealed, head == T, every slot is released, and each seat
        that is held is held in the successor too (nobody can come meanwhile, and who has moved does not move back): rename
        the successor's hidden name over the public one. From then on its seats mean nothing, and are given back by and by.
   hang-up, for a consumer that finds nothing:
     1  seen = the rolls of the entry and of all after it
     2  a producer's seat of the entry is held: no. By (B) the others need not be asked
     3  take the recovery locks from the entry to the last ring, in this order; the entry is gone meanwhile: not now
     4  recover all; still nothing to pop; head == tail everywhere; no consumer's intent anywhere
     5  the rolls are as they were

   Asserted: mpmc.pml's robbed and lost, for each ring; `disorder`: a position is claimed by a consumer while an older ring is not
   sealed or has one that is not; `evicted`: who moves finds its seat taken; `unnamed`: who is to move
   can't open the successor; `stranded`: nothing can happen any more, and a live consumer leaves messages, or a live producer has more
   to push and there is room; `premature`: Disconnected is said while a producer is there, or a message in a ring or in a hand.

   Coarser than mpmc.pml: single claims, one look at an index and slot, one look at all intents of the living. A refused newcomer (all
   seats owe) gives up; taking a seat in place is mpmc.pml's matter. */
#ifndef CAP
#define CAP 2
#endif
#ifndef NP
#define NP 1
#endif
#ifndef NC
#define NC 1
#endif
#ifndef M
#define M 3        /* positions claimed by producers in all */
#endif
#ifndef GROWS
#define GROWS 1
#endif
#ifndef GROWERS
#define GROWERS 1  /* who would all like to */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LIVES
#define LIVES 1    /* newcomers after a death */
#endif
#ifndef LATE
#define LATE 0     /* 1: producers come when the others are there already */
#endif
#ifndef HANGUP
#define HANGUP 0   /* 1: the last consumer asks */
#endif
/* Seeded bugs, each of which must be found:
   SEAL_BESIDE       the seal is not part of the word that claims compare
   SEAL_FIRST        sealed before the successor is recorded
   SEAL_UNLINKED     a recorded successor is taken for one that has a name
   GROW_UNLOCKED     grow without the recovery lock
   FOLLOW_EARLY      a consumer follows when it finds nothing, though a position is not published
   FOLLOW_UNSEALED   a producer follows when its successor is recorded, not sealed
   MOVE_UNLOCKED     a move without the recovery lock
   GONE_DRAINED      gone when head == T, though a message is in a hand
   GONE_UNMOVED      gone though somebody who takes part has not moved
   OTHER_SEAT        a newcomer takes a seat without a look at the later rings
   STALE_ENTRY       a newcomer does not look whether the ring is gone once it has the lock
   LEAVE_AT_MOVE     the old ring's seat is given back at the move
   NO_VISIT          consumers that have moved don't recover the older ring
   NO_ROLL, NEWEST_ONLY, GONE_UNSEEN, NO_INTENTS     of hang-up. ENTRY_ROLL, the roll of the entry alone: not found yet
   Questions, to be answered by an assertion that fails: GONE_REACHED, ADOPTED_REACHED, ANSWER_REACHED */

#define N     (NP + NC)
#define R     (GROWS + 1)
#define NONE  255
#define AT(r, x)   [(r) * N + (x)]
#define SEQ(r, q)  seq[(r) * CAP + (q) % CAP]
#define INDEX(r, x) ((x) < NP -> tail[r] : head[r])

byte tail[R] = CAP, head[R] = CAP, seq[R * CAP];
bool sealed[R], recorded[R], linked[R], gone[R];
byte ipos[R * N] = NONE;
bool locked[R * N];
byte rlock[R] = NONE;
byte lives = LIVES;
bool over;                      /* nobody dies any more */
chan die[N + GROWERS] = [0] of { bit };
#if HANGUP
byte roll[R];                   /* of producers: one for each arrival */
byte present = (LATE -> 0 : (1 << NP) - 1);   /* producers that have come, and are not gone: a bit each */
#endif

#if GROWS == 1
#define ENTRY   (gone[0] -> 1 : 0)
#define LAST    (sealed[0] -> 1 : 0)
#define CLAIMED (tail[0] + tail[1] - 2 * CAP)
#define SETTLED_BEFORE(r) (r == 0 || sealed[0] && head[0] == tail[0])
#else
#define ENTRY   (gone[1] -> 2 : (gone[0] -> 1 : 0))
#define LAST    (sealed[1] -> 2 : (sealed[0] -> 1 : 0))
#define CLAIMED (tail[0] + tail[1] + tail[2] - 3 * CAP)
#define SETTLED_BEFORE(r) \
  ((r == 0 || sealed[0] && head[0] == tail[0]) && (r < 2 || sealed[1] && head[1] == tail[1]))
#endif

hidden byte lost, robbed, disorder, evicted, unnamed, stranded, premature, unending;

#define EACH(what, r, lo, hi) ( \
  0 >= lo && 0 < hi && what(r, 0) || 1 >= lo && 1 < hi && what(r, 1 % N) || \
  2 >= lo && 2 < hi && what(r, 2 % N) || 3 >= lo && 3 < hi && what(r, 3 % N))
#define HELD(r, x)      locked AT(r, x)
#define OWES(r, x)      (ipos AT(r, x) != NONE)
#define SOMEBODY(r)     EACH(HELD, r, 0, N)
#define PRODUCING(r)    EACH(HELD, r, 0, NP)
#define CONSUMING(r)    EACH(HELD, r, NP, N)
#define NOT_FOLLOWED(r, x) (locked AT(r, x) && !locked AT(r + 1, x))
#define DUE_BY(r, x)    (!locked AT(r, x) && ipos AT(r, x) != NONE)
#define DUE(r)          EACH(DUE_BY, r, 0, N)

#define COVERS(x, q)  (ipos[x] == (q))
#define COVERED(r, q, lo, hi) ( \
  0 >= lo && 0 < hi && COVERS((r) * N, q) || 1 >= lo && 1 < hi && COVERS((r) * N + 1 % N, q) || \
  2 >= lo && 2 < hi && COVERS((r) * N + 2 % N, q) || 3 >= lo && 3 < hi && COVERS((r) * N + 3 % N, q))
/* Each position that is claimed and unfinished is covered by an intent. */
#define KEPT(r, k) (seq[(r) * CAP + k] % CAP == k \
  -> seq[(r) * CAP + k] >= tail[r] || COVERED(r, seq[(r) * CAP + k], 0, NP) \
  :  seq[(r) * CAP + k] - 1 >= head[r] || COVERED(r, seq[(r) * CAP + k] - 1, NP, N))
#define RELEASED(r, k) (seq[(r) * CAP + k] % CAP == k && seq[(r) * CAP + k] >= tail[r])
#define check(r) lost = !(KEPT(r, 0) && KEPT(r, 1)); assert(!lost)
#define DRAINED(r) (head[r] == tail[r] && RELEASED(r, 0) && RELEASED(r, 1))

#if defined(GONE_DRAINED)
#define GOES(r) (sealed[r] && head[r] == tail[r] && !EACH(NOT_FOLLOWED, r, 0, N))
#elif defined(GONE_UNMOVED)
#define GOES(r) (sealed[r] && DRAINED(r))
#else
#define GOES(r) (sealed[r] && DRAINED(r) && !EACH(NOT_FOLLOWED, r, 0, N))
#endif

/* Who is dead is known as of the moment at which the lock was taken: the worst that one may believe. */
#define DEAD(r) ( \
  (locked AT(r, 0) -> 0 : 1) + (N < 2 || locked AT(r, 1 % N) -> 0 : 2) + \
  (N < 3 || locked AT(r, 2 % N) -> 0 : 4) + (N < 4 || locked AT(r, 3 % N) -> 0 : 8))
#define IS_DEAD(x) (w & (1 << (x)))
#define TAKE(r) rlock[r] = _pid; w = DEAD(r)
#define GIVE(r) if :: rlock[r] == _pid -> rlock[r] = NONE :: else fi
#define LIVE_CLAIM(r, x, q) (x != d && !IS_DEAD(x) && ipos AT(r, x) == q)
#define ANY_LIVE_CLAIM(r, q, lo, hi) ( \
  0 >= lo && 0 < hi && LIVE_CLAIM(r, 0, q) || 1 >= lo && 1 < hi && LIVE_CLAIM(r, 1 % N, q) || \
  2 >= lo && 2 < hi && LIVE_CLAIM(r, 2 % N, q) || 3 >= lo && 3 < hi && LIVE_CLAIM(r, 3 % N, q))

#define clear(r, x) ipos AT(r, x) = NONE; check(r)

/* One pass over the dead entries of ring r, whose recovery lock is held. A consumer may come out with an orphan in its
   hands: hold, hr and pos. */
inline recover() {
  do
  :: atomic { d < N && (!IS_DEAD(d) || ipos AT(r, d) == NONE) -> d++ }
  :: atomic { d < N && IS_DEAD(d) && ipos AT(r, d) != NONE -> q = ipos AT(r, d);
       if
       :: INDEX(r, d) <= q -> v = 1                         /* not claimed */
       :: else ->
          if
          :: (d < NP -> ANY_LIVE_CLAIM(r, q, 0, NP) : ANY_LIVE_CLAIM(r, q, NP, N)) -> v = 0
          :: else -> v = 2
          fi
       fi };
     atomic {
       if
       :: v == 2 && d < NP ->
          if :: SEQ(r, q) == q -> SEQ(r, q) = q + 1 :: else fi;
          v = 1
       :: v == 2 && d >= NP ->
          if
          :: SEQ(r, q) != q + 1 -> v = 1
          :: SEQ(r, q) == q + 1 && me != NONE && me >= NP && !hold ->
#ifdef ADOPTED_REACHED
             assert(r == cur);
#endif
             ipos AT(r, me) = q; hold = 1; hr = r; pos = q; v = 1
          :: else -> v = 0
          fi
       :: else
       fi };
     atomic { if :: v == 1 -> clear(r, d) :: else fi; v = 0; q = 0; d++ }
  :: atomic { d == N -> d = 0; w = 0; break }
  od
}

/* Ring r's recovery lock is held. */
inline finish_grow() {
  if
  :: atomic { !sealed[r] && recorded[r] };
#ifdef SEAL_UNLINKED
     sealed[r] = 1
#else
     if
     :: atomic { linked[r + 1] -> sealed[r] = 1 }
     :: atomic { !linked[r + 1] -> recorded[r] = 0 }
     fi
#endif
  :: atomic { sealed[r] || !recorded[r] -> skip }
  fi
}

#ifdef GROW_UNLOCKED
#define TAKE_TO_GROW skip
#else
#define TAKE_TO_GROW rlock[r] == NONE -> rlock[r] = _pid
#endif

#if HANGUP
#define ARRIVE(r) if :: me < NP -> roll[r]++; present = present | (1 << me) :: else fi
#else
#define ARRIVE(r) skip
#endif

/* A seat that is free and owes nothing, here and in the later rings. */
#define TAKEN(x) (locked[x] || ipos[x] != NONE)
#ifdef OTHER_SEAT
#define UNFIT(x) (TAKEN(r * N + x))
#elif GROWS == 1
#define UNFIT(x) (TAKEN(r * N + x) || r == 0 && sealed[0] && TAKEN(N + x))
#else
#define UNFIT(x) (TAKEN(r * N + x) || r == 0 && sealed[0] && TAKEN(N + x) || r <= 1 && sealed[1] && TAKEN(2 * N + x))
#endif

inline attach(lo, hi) {
  r = ENTRY;
opened:
  atomic { rlock[r] == NONE -> TAKE(r) };
#ifndef STALE_ENTRY
  if
  :: atomic { gone[r] -> GIVE(r); w = 0; r = ENTRY; goto opened }
  :: atomic { !gone[r] -> skip }
  fi;
#endif
  if :: r < R - 1 -> finish_grow() :: else fi;
  recover();
  e = r;
  do
  :: atomic { r < R - 1 && sealed[r] && rlock[r + 1] == NONE -> r++; TAKE(r) };
     recover(); GIVE(r)
  :: atomic { r == R - 1 || !sealed[r] -> r = e; e = 0; break }
  od;
  atomic {
    me = lo;
    do :: me < hi && UNFIT(me) -> me++
       :: me < hi && !UNFIT(me) -> locked AT(r, me) = 1; cur = r; break
       :: me == hi -> me = NONE; break
    od };
  if :: atomic { me != NONE -> ARRIVE(r) } :: atomic { me == NONE -> skip } fi;
  atomic { GIVE(r); r = 0 }
}

inline move() {
  atomic { unnamed = !linked[cur + 1] || !recorded[cur]; assert(!unnamed) };
#ifdef MOVE_UNLOCKED
  skip;
#else
  atomic { rlock[cur + 1] == NONE -> rlock[cur + 1] = _pid };
#endif
  atomic { evicted = locked AT(cur + 1, me) || ipos AT(cur + 1, me) != NONE; assert(!evicted);
    locked AT(cur + 1, me) = 1;
#ifdef LEAVE_AT_MOVE
    locked AT(cur, me) = 0;
#endif
    cur++ };
  atomic { ARRIVE(cur); GIVE(cur) }
}

#ifdef SEAL_BESIDE
#define OPEN(r) (1)
#else
#define OPEN(r) (!sealed[r])
#endif
#ifdef FOLLOW_UNSEALED
#define FOLLOWABLE(r) (r < R - 1 && recorded[r])
#else
#define FOLLOWABLE(r) (r < R - 1 && sealed[r])
#endif
#ifdef FOLLOW_EARLY
#define SPENT(r) (1)
#else
#define SPENT(r) (head[r] == tail[r])
#endif

#ifdef NO_VISIT
#define VISITED(x) ((x) == cur)
#else
#define VISITED(x) ((x) <= cur)
#endif
#define RECOVERABLE(x) (me != NONE && !hold && ipos AT(cur, me) == NONE && VISITED(x) && !gone[x] && DUE(x) && rlock[x] == NONE)

/* What everybody does besides: recovery of the rings that it has a seat of, giving back seats of those that are gone,
   having the oldest go. */
#define CHORES \
    :: atomic { RECOVERABLE(0) -> r = 0; TAKE(0) }; recover(); atomic { GIVE(r); r = 0 } \
    :: atomic { R > 1 && RECOVERABLE(1) -> r = 1; TAKE(1) }; recover(); atomic { GIVE(r); r = 0 } \
    :: atomic { R > 2 && RECOVERABLE(R - 1) -> r = R - 1; TAKE(R - 1) }; recover(); atomic { GIVE(r); r = 0 } \
    :: atomic { me != NONE && !hold && ENTRY < cur && GOES(ENTRY) && rlock[ENTRY] == NONE -> r = ENTRY; rlock[r] = _pid }; \
       atomic { if :: GOES(r) && !gone[r] -> gone[r] = 1; GONE_QUESTION :: else fi; GIVE(r); r = 0 } \
    :: atomic { me != NONE && cur > 0 && gone[0] && locked AT(0, me) -> locked AT(0, me) = 0 } \
    :: atomic { R > 2 && me != NONE && cur > 1 && gone[1] && locked AT(1, me) -> locked AT(1, me) = 0 }
#ifdef GONE_REACHED
#define GONE_QUESTION assert(false)
#else
#define GONE_QUESTION skip
#endif

#if HANGUP
#define WAS was = me
#define MORE_LOCALS ; byte was, seen, last; bool busy, ok, calm, answered
#define MORE_KILLED ; if :: id < NP && was != NONE -> present = present & ~(1 << was) :: else fi; was = 0; seen = 0; last = 0; busy = 0; ok = 0; calm = 0; answered = 0
#else
#define WAS skip
#define MORE_LOCALS
#define MORE_KILLED
#endif
#define LOCALS byte me = id, cur, pos, hr, r, e, d, q, w, v; bool hold, go MORE_LOCALS
#if GROWS == 1
#define GIVE_ALL GIVE(0); GIVE(1)
#define DROP_ALL \
  GIVE_ALL; \
  if :: me != NONE -> locked AT(0, me) = 0; if :: cur >= 1 -> locked AT(1, me) = 0 :: else fi :: else fi
#else
#define GIVE_ALL GIVE(0); GIVE(1); GIVE(2)
#define DROP_ALL \
  GIVE_ALL; \
  if :: me != NONE -> locked AT(0, me) = 0; if :: cur >= 1 -> locked AT(1, me) = 0 :: else fi; \
        if :: cur >= 2 -> locked AT(2, me) = 0 :: else fi :: else fi
#endif
#define KILLED \
  die[id]?_ -> DROP_ALL; WAS; me = NONE; cur = 0; pos = 0; hr = 0; r = 0; e = 0; d = 0; q = 0; w = 0; v = 0; hold = 0; go = 0 MORE_KILLED

proctype Producer(byte id) {
  LOCALS;
  atomic { if :: LATE -> me = NONE :: else fi };
start:
  {
    if :: me == NONE -> attach(0, NP) :: else fi;
end:
    do
    :: atomic { me == NONE -> break }
    :: atomic { me != NONE && !hold && CLAIMED < M && OPEN(cur) && SEQ(cur, tail[cur]) == tail[cur] ->
         pos = tail[cur]; ipos AT(cur, me) = pos; go = 1; check(cur) };
       atomic { go = 0;
         if
         :: tail[cur] == pos && OPEN(cur) -> tail[cur] = pos + 1; hold = 1; check(cur)
         :: else -> pos = 0                        /* lost; the intent stays until the next store */
         fi }
    :: atomic { hold && SEQ(cur, pos) % CAP == pos % CAP && ipos AT(cur, me) == pos && !go ->   /* publish */
         robbed = SEQ(cur, pos) != pos; assert(!robbed);
         SEQ(cur, pos) = pos + 1; go = 1 }
    :: atomic { hold && go -> clear(cur, me); hold = 0; go = 0; pos = 0 }
    :: atomic { me != NONE && !hold && !go && CLAIMED < M && FOLLOWABLE(cur) -> clear(cur, me) };
       move()
    :: atomic { me != NONE && !hold && ipos AT(cur, me) != NONE && !FOLLOWABLE(cur) && SEQ(cur, tail[cur]) != tail[cur] ->
         clear(cur, me) }                          /* full */
    CHORES
    od
  } unless { atomic { KILLED } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

#if HANGUP
#ifdef ANSWER_REACHED
#define ANSWERED assert(false)
#else
#define ANSWERED skip
#endif
/* The oldest ring that one does not know to be gone: of which one still has a seat. */
#if GROWS == 1
#define KNOWN_ENTRY (locked AT(0, me) -> 0 : 1)
#define ROLLS       (roll[0] + roll[1])
#define CALM        (lives == 0 && over && rlock[0] == NONE && rlock[1] == NONE && !EACH(OTHER, ENTRY, 0, N))
#else
#define KNOWN_ENTRY (locked AT(0, me) -> 0 : (locked AT(1, me) -> 1 : 2))
#define ROLLS       (roll[0] + roll[1] + roll[2])
#define CALM        (lives == 0 && over && rlock[0] == NONE && rlock[1] == NONE && rlock[2] == NONE && !EACH(OTHER, ENTRY, 0, N))
#endif
#define OTHER(r, x) (x != me && locked AT(r, x))
#ifdef ENTRY_ROLL
#define ROLL_NOW roll[e]
#else
#define ROLL_NOW ROLLS
#endif
#ifdef NEWEST_ONLY
#define ASKED cur
#else
#define ASKED e
#endif
#ifdef NO_INTENTS
#define EMPTY_HANDED(r) (1)
#else
#define EMPTY_HANDED(r) (!EACH(OWES, r, NP, N))
#endif
#define MESSAGES_IN(r) (!DRAINED(r))

inline ask() {
  atomic { e = KNOWN_ENTRY; r = e; seen = ROLL_NOW; calm = CALM && cur == LAST };
  if
  :: atomic { PRODUCING(ASKED) -> skip }                          /* 2 */
  :: atomic { !PRODUCING(ASKED) -> busy = 0 };
     do                                                           /* 3 */
     :: atomic { rlock[r] != NONE -> busy = 1; break }
     :: atomic { rlock[r] == NONE -> rlock[r] = _pid;
#ifndef GONE_UNSEEN
          busy = gone[r]
#endif
          };
        if
        :: atomic { busy || r == R - 1 || !sealed[r] -> break }
        :: atomic { !busy && r < R - 1 && sealed[r] -> r++ }
        fi
     od;
     if
     :: atomic { busy -> calm = 0 }
     :: atomic { !busy -> last = r; r = e };
        do                                                        /* 4 */
        :: atomic { r <= last -> w = DEAD(r) };
           recover();
           atomic { r++ }
        :: atomic { r > last -> r = 0; break }
        od;
        atomic { ok = !hold && cur == last;
          do
          :: r <= last && ok -> ok = r < e || head[r] == tail[r] && EMPTY_HANDED(r); r++
          :: else -> break
          od;
          last = 0; r = 0 }
     fi;
     atomic { GIVE_ALL; busy = 0 };
     atomic {
       if
#ifdef NO_ROLL
       :: ok ->
#else
       :: ok && ROLL_NOW == seen ->                               /* 5 */
#endif
          premature = present != 0 || MESSAGES_IN(0) || MESSAGES_IN(1) || MESSAGES_IN(R - 1);
          assert(!premature); answered = 1; ANSWERED
       :: else -> unending = calm && CALM && !hold && SEQ(cur, head[cur]) != head[cur] + 1 && cur == LAST && ROLL_NOW == seen; assert(!unending)
       fi; ok = 0 }
  fi;
  atomic { seen = 0; calm = 0; e = 0; r = 0 }
}
#define ASK \
    :: atomic { id == N - 1 && me != NONE && !hold && !answered && ipos AT(cur, me) == NONE && SEQ(cur, head[cur]) != head[cur] + 1 && \
         !(FOLLOWABLE(cur) && SPENT(cur)) -> skip }; \
       ask()
#else
#define ASK
#endif

proctype Consumer(byte id) {
  LOCALS;
start:
  {
    if :: me == NONE -> attach(NP, N) :: else fi;
end:
    do
    :: atomic { me == NONE -> break }
    :: atomic { me != NONE && !hold && SEQ(cur, head[cur]) == head[cur] + 1 ->
         pos = head[cur]; ipos AT(cur, me) = pos; check(cur) };
       atomic {
         if
         :: head[cur] == pos -> head[cur] = pos + 1; hold = 1; hr = cur; check(cur);
            disorder = !SETTLED_BEFORE(cur); assert(!disorder)
         :: else -> pos = 0
         fi }
    :: atomic { hold && !go -> robbed = SEQ(hr, pos) != pos + 1; assert(!robbed); SEQ(hr, pos) = pos + CAP; go = 1 }
    :: atomic { hold && go -> clear(hr, me); hold = 0; go = 0; pos = 0; hr = 0 }
    :: atomic { me != NONE && !hold && SEQ(cur, head[cur]) != head[cur] + 1 && FOLLOWABLE(cur) && SPENT(cur) ->
         clear(cur, me) };
       move()
    :: atomic { me != NONE && !hold && ipos AT(cur, me) != NONE && SEQ(cur, head[cur]) != head[cur] + 1 ->
         clear(cur, me) }                          /* empty */
    CHORES
    ASK
    od
  } unless { atomic { KILLED } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

proctype Grower(byte id) {
  byte r;
start:
  {
    do
    :: atomic { LAST == R - 1 -> r = 0; break }
    :: atomic { LAST < R - 1 -> r = LAST };
end:
       atomic { TAKE_TO_GROW };
       if
       :: atomic { sealed[r] -> skip }
       :: atomic { !sealed[r] && recorded[r] -> skip };
          finish_grow()
       :: atomic { !sealed[r] && !recorded[r] -> skip };
#ifdef SEAL_FIRST
          sealed[r] = 1;
#endif
          recorded[r] = 1;
          linked[r + 1] = 1;
          sealed[r] = 1
       fi;
       atomic { GIVE(r); r = 0 }
    od
  } unless { atomic { die[id]?_ -> GIVE(0);
#if GROWS > 1
     GIVE(1);
#endif
     r = 0 } };
  if :: atomic { r == 0 && lives > 0 && LAST < R - 1 -> lives--; goto start } :: skip fi
}

proctype Death() {
  byte c;
  do
  :: atomic { c < CRASHES -> c++ };
end1:
     if
     :: die[0]!1
     :: die[1]!1
     :: die[2]!1
#if NP + NC + GROWERS > 3
     :: die[3]!1
#endif
#if NP + NC + GROWERS > 4
     :: die[4]!1
#endif
     :: skip
     fi
  :: break
  od;
  over = 1
}

/* When nothing can happen any more. */
#define STRANDED_IN(r) (CONSUMING(ENTRY) && !DRAINED(r))
#define NO_PUSH (PRODUCING(ENTRY) && CLAIMED < M && (CONSUMING(ENTRY) || SEQ(LAST, tail[LAST]) == tail[LAST]))
active proctype Watch() {
  timeout ->
  atomic {
    stranded = STRANDED_IN(0) || STRANDED_IN(1) || STRANDED_IN(R - 1) || NO_PUSH;
    assert(!stranded) }
}

init {
  byte i;
  atomic {
    linked[0] = 1;
    for (i : 0 .. R * CAP - 1) { seq[i] = CAP + i % CAP };
    for (i : 0 .. N - 1) { locked[i] = (i >= NP || !LATE) };
    i = 0;
    do :: i < NP -> run Producer(i); i++ :: i >= NP && i < N -> run Consumer(i); i++ :: i == N -> i = 0; break od;
    for (i : 0 .. GROWERS - 1) { run Grower(N + i) };
    i = 0;
    run Death()
  }
}
