/* An MPMC ring that grows while it runs: a chain of segments in one object. Each is the next
   segment of the one before.

   A segment has: tail (with a bit `sealed`), head, slots, `closed` (CLOSED and SUPERSEDED),
   `recorded` (it has a next segment), and an intent for each seat. The seats, the arrival counts,
   the recovery lock and the growth lock belong to the object.

   grow      by any process, under the growth lock. Build the segment after the last one, r; it is
             not visible yet. Then take the recovery lock, finish an interrupted growth, and
               1  record the next segment
               2  closed |= SUPERSEDED. If CLOSED was set: close the next segment
               3  tail |= sealed. The tail is final then: T. Every pending claim expects an unsealed
                  tail, and fails. Wake all on both words
   finish    by a holder of the recovery lock: 2 and 3 of each segment that has a next one and lacks
             some of these steps, the oldest first. A refused participant checks whether it is due.
   close     closed |= CLOSED on the first segment. If SUPERSEDED was set: on its next segment too,
             and so on. An interrupted close is due for finish, as above.
   push      refused if CLOSED is set. At a sealed tail: clear the own intent; move to the next
             segment.
   pop       If nothing can be popped, the tail is sealed and head == T: clear the own intent, wake
             all on not_empty, move to the next segment. Not before head == T: a position below T
             may be claimed and not published, and passing it would break the order. Closed is
             returned only for an unsealed and drained segment, after CLOSED was read.
   attach    under the recovery lock: finish; recover each segment that is not retired. Take a free
             seat without an intent in any of them, and begin at the oldest. If there is none, a
             consumer takes a dead consumer's seat in place, and continues with its messages.
   recovery  as in mpmc.pml, for each segment that is not retired. A consumer without an intent
             adopts an orphan of any segment into its entry there, moves to that segment, and then
             moves forward by the rule of pop.
   retire    the oldest segment, under the recovery lock: sealed, head == T, then no intent set in
             it, by a dead or a live participant. Its slots are reclaimed, except for that of T,
             which an idle consumer still reads.
   hang-up   for a consumer that finds nothing:
               1  seen = the arrivals; no producer's seat is held
               2  take the recovery lock, finish, recover
               3  still nothing to pop, and this is the last segment; in each segment that is not
                  retired head == tail, then no consumer's intent
               4  the arrivals are unchanged

   Violations, each of which is an assertion:
   robbed, lost  as in mpmc.pml, for each segment.
   disorder      a consumer claims a position while an older segment is not sealed or not fully
                 claimed; or a producer claims one while an older segment is not sealed.
   touched       recovery of a retired segment.
   unheard_of    an idle consumer reads an impossible word at T.
   unmade        a participant moves to a segment that is being built.
   unclosed      a push that begins after a completed close finds an open segment. Or, in a final
                 state with a participant, a segment is closed and a later one is not.
   forsaken      Closed is returned, and a message that was pushed before the close is left.
   stranded      in a final state, a live consumer leaves messages, or a live producer has more to
                 push and there is room.
   forgotten     in a final state, a participant sleeps in a segment that is finished for it.
   premature     Disconnected is returned while a producer is attached, or a message is in a ring or
                 held by a consumer.
   unending      no other process is attached, and the check for hang-up does not end.

   Coarser than mpmc.pml: single claims, one read of an index and slot, one read of all live
   intents. event.pml covers sleeping. SLEEP covers only the wake-ups at the end of a segment: no
   process dies, and no interval ends. */
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
#define GROWERS 1  /* processes that try to grow the ring */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LIVES
#define LIVES 1    /* new participants after a death */
#endif
#ifndef LATE
#define LATE 0     /* 1: producers attach after the others */
#endif
#ifndef CLOSE
#define CLOSE 0    /* 1: a process closes the ring */
#endif
#ifndef HANGUP
#define HANGUP 0   /* 1: the last consumer checks for hang-up */
#endif
#ifndef SLEEP
#define SLEEP 0    /* 1: an idle participant sleeps until it is woken */
#endif
/* Seeded bugs, each of which must be found:
   SEAL_BESIDE       the seal is not part of the word that claims compare
   SEAL_FIRST        sealed before the next segment is recorded
   FLAG_LAST         flagged after the tail is sealed
   GROW_UNLOCKED     record to seal without the recovery lock
   BUILD_UNLOCKED    without the growth lock
   NO_FINISH         a holder of the recovery lock does not seal what a dead grower recorded
   HALF_CLOSED       finish does not close the segment after a closed one
   BLIND_CLOSE       close does not check SUPERSEDED
   BLIND_GROW        grow does not check CLOSED
   CLOSED_ANYWHERE   Closed is returned for a sealed segment
   FOLLOW_EARLY      a consumer moves on if it finds nothing, though a position is unpublished
   FOLLOW_UNSEALED   a producer moves on if its next segment is recorded, not sealed
   RETIRE_HELD       retired if head == T, though a consumer holds a message
   RETIRE_LOOKS_BACK the intents are read before head
   GIVE_ALL_BACK     the slot of T is reclaimed too
   RECOVER_RETIRED   recovery begins at the first segment
   NO_VISIT          consumers that have moved do not recover the older segments
   BEGIN_AT_NEWEST   a newcomer begins at the last segment
   OTHER_SEAT        a newcomer takes a seat without a check of the later segments
   ADOPT_HERE        an adopter sets its intent in the entry of its current segment
   NO_ROLL, OWN_STAGE, NO_INTENTS, INTENTS_FIRST     of hang-up
   NO_WAKE_SEAL, NO_WAKE_PASS         of sleeping
   Questions, answered by an assertion that fails: RETIRE_REACHED, ADOPTED_REACHED,
   IN_PLACE_REACHED, CLOSED_REACHED, ANSWER_REACHED */

#define N     (NP + NC)
#define R     (GROWS + 1)
#define NONE  255
#define AT(r, x)   [(r) * N + (x)]
#define SEQ(r, q)  seq[(r) * CAP + (q) % CAP]
#define INDEX(r, x) ((x) < NP -> tail[r] : head[r])

byte tail[R] = CAP, head[R] = CAP, seq[R * CAP];
bool sealed[R], recorded[R], made[R], retired[R];
byte ipos[R * N] = NONE;
bool locked[N];
byte rlock = NONE, glock = NONE;
byte lives = LIVES;
bool over;                      /* no process dies any more */
chan die[N + GROWERS + CLOSE] = [0] of { bit };
bool ending[R];
#if CLOSE
bool closed[R], close_over;
byte before[R] = CAP;           /* claimed at the start of the close */
#define CLOSED(r) closed[r]
#else
#define CLOSED(r) (0)
#endif
#if HANGUP
byte roll;                      /* of producers: one for each arrival */
byte present = (LATE -> 0 : (1 << NP) - 1);   /* attached producers, a bit each */
#endif
#if SLEEP
byte asleep[N] = NONE;          /* in which segment */
#endif

#if defined(HALF_CLOSED) || defined(BLIND_GROW)
#define HALF(r) (0)
#else
#define HALF(r) (CLOSED(r) && !CLOSED(r + 1))
#endif
#define UNFINISHED_AT(r) (recorded[r] && (!ending[r] || !sealed[r] || HALF(r)))
#if GROWS == 1
#define OLDEST  (retired[0] -> 1 : 0)
#define LAST    (recorded[0] -> 1 : 0)
#define CLAIMED (tail[0] + tail[1] - 2 * CAP)
#define SEALED_BEFORE(r)  (r == 0 || sealed[0])
#define SETTLED_BEFORE(r) (r == 0 || sealed[0] && head[0] == tail[0])
#define UNFINISHED UNFINISHED_AT(0)
#define OWES_NOWHERE(x) (ipos[x] == NONE && ipos[N + x] == NONE)
#else
#define OLDEST  (retired[1] -> 2 : (retired[0] -> 1 : 0))
#define LAST    (recorded[1] -> 2 : (recorded[0] -> 1 : 0))
#define CLAIMED (tail[0] + tail[1] + tail[2] - 3 * CAP)
#define SEALED_BEFORE(r) ((r == 0 || sealed[0]) && (r < 2 || sealed[1]))
#define SETTLED_BEFORE(r) \
  ((r == 0 || sealed[0] && head[0] == tail[0]) && (r < 2 || sealed[1] && head[1] == tail[1]))
#define UNFINISHED (UNFINISHED_AT(0) || UNFINISHED_AT(1))
#define OWES_NOWHERE(x) (ipos[x] == NONE && ipos[N + x] == NONE && ipos[2 * N + x] == NONE)
#endif

hidden byte lost, robbed, disorder, touched, unheard_of, unmade, unclosed, forsaken, stranded, forgotten, premature, unending;

#define EACH(what, r, lo, hi) ( \
  0 >= lo && 0 < hi && what(r, 0) || 1 >= lo && 1 < hi && what(r, 1 % N) || \
  2 >= lo && 2 < hi && what(r, 2 % N) || 3 >= lo && 3 < hi && what(r, 3 % N))
#define HELD(r, x)      locked[x]
#define OWES(r, x)      (ipos AT(r, x) != NONE)
#define PRODUCING       EACH(HELD, 0, 0, NP)
#define CONSUMING       EACH(HELD, 0, NP, N)
#define ORPHAN(r, x)    ((x) >= NP && head[r] > ipos AT(r, x) && SEQ(r, ipos AT(r, x)) == ipos AT(r, x) + 1)
/* A producer leaves orphans to consumers. */
#define DUE_BY(r, x)    (!locked[x] && ipos AT(r, x) != NONE && (me >= NP || !ORPHAN(r, x)))
#define DUE(r)          (r >= FIRST && EACH(DUE_BY, r, 0, N))

#define COVERS(x, q)  (ipos[x] == (q))
#define COVERED(r, q, lo, hi) ( \
  0 >= lo && 0 < hi && COVERS((r) * N, q) || 1 >= lo && 1 < hi && COVERS((r) * N + 1 % N, q) || \
  2 >= lo && 2 < hi && COVERS((r) * N + 2 % N, q) || 3 >= lo && 3 < hi && COVERS((r) * N + 3 % N, q))
/* An intent covers each claimed and unfinished position. */
#define KEPT(r, k) (seq[(r) * CAP + k] % CAP == k \
  -> seq[(r) * CAP + k] >= tail[r] || COVERED(r, seq[(r) * CAP + k], 0, NP) \
  :  seq[(r) * CAP + k] - 1 >= head[r] || COVERED(r, seq[(r) * CAP + k] - 1, NP, N))
#define RELEASED(r, k) (seq[(r) * CAP + k] % CAP == k && seq[(r) * CAP + k] >= tail[r])
#define check(r) lost = !(retired[r] || KEPT(r, 0) && KEPT(r, 1)); assert(!lost)
#define DRAINED(r) (retired[r] || head[r] == tail[r] && RELEASED(r, 0) && RELEASED(r, 1))

#ifdef RECOVER_RETIRED
#define FIRST 0
#else
#define FIRST OLDEST
#endif

/* Liveness is as of the moment when the lock was taken: the most outdated permitted answer. */
#define DEAD ( \
  (locked[0] -> 0 : 1) + (N < 2 || locked[1 % N] -> 0 : 2) + \
  (N < 3 || locked[2 % N] -> 0 : 4) + (N < 4 || locked[3 % N] -> 0 : 8))
#define IS_DEAD(x) (w & (1 << (x)))
#define TAKE rlock = _pid; w = DEAD
#define GIVE if :: rlock == _pid -> rlock = NONE :: else fi
#define LIVE_CLAIM(r, x, q) (x != d && !IS_DEAD(x) && ipos AT(r, x) == q)
#define ANY_LIVE_CLAIM(r, q, lo, hi) ( \
  0 >= lo && 0 < hi && LIVE_CLAIM(r, 0, q) || 1 >= lo && 1 < hi && LIVE_CLAIM(r, 1 % N, q) || \
  2 >= lo && 2 < hi && LIVE_CLAIM(r, 2 % N, q) || 3 >= lo && 3 < hi && LIVE_CLAIM(r, 3 % N, q))

#define clear(r, x) ipos AT(r, x) = NONE; check(r)

#if SLEEP
#define WAKE_ALL(r, lo, hi) \
  i = lo; do :: i < hi -> if :: asleep[i] == r -> asleep[i] = NONE :: else fi; i++ :: i == hi -> i = 0; break od
#define SLEEPS(r, x) (asleep[x] == r)
/* Asleep in a segment that is finished for it. */
#define OVERSLEEPS(r, x) (asleep[x] < R - 1 && sealed[asleep[x]] && (x < NP || head[asleep[x]] == tail[asleep[x]]))
#define FORGOTTEN EACH(OVERSLEEPS, 0, 0, N)
#define WAKE_ONE(r, lo, hi) \
  if \
  :: lo < hi && asleep[lo] == r -> asleep[lo] = NONE \
  :: lo + 1 < hi && asleep[(lo + 1) % N] == r -> asleep[(lo + 1) % N] = NONE \
  :: !EACH(SLEEPS, r, lo, hi) -> skip \
  fi
#define AWAKE (asleep[me] == NONE)
#else
#define WAKE_ALL(r, lo, hi) skip
#define WAKE_ONE(r, lo, hi) skip
#define AWAKE (1)
#define FORGOTTEN 0
#endif

/* Recovers the segments from r on, up to e, under the recovery lock. A consumer may hold an orphan
   afterwards: hold, cur and pos. */
inline recover() {
  do
  :: atomic { r <= e ->
       do
       :: r <= e && d < N && !(IS_DEAD(d) && ipos AT(r, d) != NONE) -> d++
       :: r <= e && d < N && IS_DEAD(d) && ipos AT(r, d) != NONE -> break
       :: r <= e && d == N -> d = 0; r++
       :: r > e -> break
       od };
     if
     :: atomic { r > e -> skip }
     :: atomic { r <= e -> q = ipos AT(r, d); touched = retired[r]; assert(!touched);
          if
          :: INDEX(r, d) <= q -> v = 1                      /* not claimed */
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
                assert(r >= cur);
#endif
#ifdef ADOPT_HERE
                ipos AT(cur, me) = q;
#else
                ipos AT(r, me) = q;
#endif
                hold = 1; cur = r; pos = q; v = 1
             :: else -> v = 0
             fi
          :: else
          fi };
        atomic { if :: v == 1 -> clear(r, d) :: else fi; v = 0; q = 0; d++ }
     fi
  :: atomic { r > e -> d = 0; w = 0; r = 0; e = 0; break }
  od
}

/* Under the recovery lock: 2 and 3 of each segment that has a next one and lacks a step. */
inline finish() {
  r = 0;
  do
  :: atomic { r < R - 1 && UNFINISHED_AT(r) -> skip };
#ifdef FLAG_LAST
     sealed[r] = 1;
#endif
#if CLOSE
     atomic { v = closed[r]; ending[r] = 1 };
#ifdef BLIND_GROW
     v = 0;
#endif
     atomic { if :: v -> closed[r + 1] = 1 :: else fi; v = 0 };
#else
     ending[r] = 1;
#endif
     sealed[r] = 1;
#ifndef NO_WAKE_SEAL
     atomic { WAKE_ALL(r, 0, N) };
#endif
     r++
  :: atomic { r < R - 1 && !UNFINISHED_AT(r) -> r++ }
  :: atomic { r == R - 1 -> r = 0; break }
  od
}
#ifdef NO_FINISH
#define FINISH_DEAD skip
#define DEAD_GROW 0
#else
#define FINISH_DEAD finish()
#define DEAD_GROW UNFINISHED
#endif

#if HANGUP
#define ARRIVE if :: me < NP -> roll++; present = present | (1 << me) :: else fi
#else
#define ARRIVE skip
#endif

/* A free seat without an intent in the segments from r up to e. */
#ifdef OTHER_SEAT
#define IN_LOOK(x) ((x) == OLDEST)
#else
#define IN_LOOK(x) ((x) >= OLDEST && (x) <= e)
#endif
#define UNFIT(x) (locked[x] || IN_LOOK(0) && ipos[x] != NONE || IN_LOOK(1) && ipos[N + x] != NONE || \
  R > 2 && IN_LOOK(2) && ipos[(R - 1) * N + x] != NONE)
#ifdef BEGIN_AT_NEWEST
#define BEGINNING LAST
#else
#define BEGINNING OLDEST
#endif
#ifdef IN_PLACE_REACHED
#define IN_PLACE_QUESTION assert(false)
#else
#define IN_PLACE_QUESTION skip
#endif

inline attach(lo, hi) {
  atomic { rlock == NONE -> TAKE };
  FINISH_DEAD;
  atomic { last = LAST; r = FIRST; e = last };
  recover();
  atomic { e = last; last = 0; me = lo;
    do :: me < hi && UNFIT(me) -> me++
       :: me < hi && !UNFIT(me) -> locked[me] = 1; cur = BEGINNING; break
       :: me == hi -> me = NONE; break
    od;
    if
    :: me == NONE && lo >= NP ->         /* in place: every free seat has an intent */
       me = lo; r = OLDEST;
       do
       :: me < hi && !locked[me] && r <= e && ipos AT(r, me) != NONE ->
          d = me; q = ipos AT(r, me);
          if
          :: ANY_LIVE_CLAIM(r, q, NP, N) -> me++; r = OLDEST
          :: else ->
             locked[me] = 1; cur = r;
             if
             :: INDEX(r, me) > q && SEQ(r, q) == q + 1 -> hold = 1; pos = q; IN_PLACE_QUESTION
             :: else -> clear(r, me)
             fi;
             break
          fi
       :: me < hi && !locked[me] && r <= e && ipos AT(r, me) == NONE -> r++
       :: me < hi && (locked[me] || r > e) -> me++; r = OLDEST
       :: me == hi -> me = NONE; break
       od
    :: else
    fi;
    r = 0; e = 0; d = 0; q = 0; w = 0 };
  if :: atomic { me != NONE -> ARRIVE } :: atomic { me == NONE -> skip } fi;
  atomic { GIVE }
}

#ifdef SEAL_BESIDE
#define OPEN(r) (1)
#else
#define OPEN(r) (!sealed[r])
#endif
#ifdef FOLLOW_UNSEALED
#define PUSHED_OUT(r) (r < R - 1 && recorded[r])
#else
#define PUSHED_OUT(r) (r < R - 1 && sealed[r])
#endif
#define FOLLOWABLE(r) (r < R - 1 && sealed[r])
#ifdef FOLLOW_EARLY
#define SPENT(r) (1)
#else
#define SPENT(r) (head[r] == tail[r])
#endif
#define GO unmade = !made[cur + 1] || !recorded[cur]; assert(!unmade); cur++

#ifdef NO_VISIT
#define VISITED(x) (me < NP || (x) >= cur)
#define VISIT_FROM (me < NP -> FIRST : cur)
#else
#define VISITED(x) (1)
#define VISIT_FROM FIRST
#endif
#define DUE_SOMEWHERE (VISITED(0) && DUE(0) || VISITED(1) && DUE(1) || R > 2 && VISITED(R - 1) && DUE(R - 1))

#if defined(RETIRE_HELD)
#define FIT_TO_RETIRE(r) (sealed[r] && head[r] == tail[r])
#else
#define FIT_TO_RETIRE(r) (sealed[r] && head[r] == tail[r] && !EACH(OWES, r, 0, N))
#endif
#ifdef RETIRE_LOOKS_BACK
#define LOOK_1 !EACH(OWES, r, 0, N)
#define LOOK_2 (sealed[r] && head[r] == tail[r])
#else
#define LOOK_1 (sealed[r] && head[r] == tail[r])
#define LOOK_2 FIT_TO_RETIRE(r)
#endif
#ifdef RETIRE_REACHED
#define RETIRE_QUESTION assert(false)
#else
#define RETIRE_QUESTION skip
#endif
/* The slots read 0 from then on, except for that of T. */
#ifdef GIVE_ALL_BACK
#define GIVE_BACK(r) seq[(r) * CAP] = 0; seq[(r) * CAP + 1] = 0
#else
#define GIVE_BACK(r) SEQ(r, tail[r] + 1) = 0
#endif
#define COULD_RETIRE (OLDEST < R - 1 && LOOK_1_OF(OLDEST))
#ifdef RETIRE_LOOKS_BACK
#define LOOK_1_OF(r) (sealed[r] && !EACH(OWES, r, 0, N))
#else
#define LOOK_1_OF(r) FIT_TO_RETIRE(r)
#endif
inline retire() {
  if
  :: atomic { LOOK_1 };
     atomic { if :: LOOK_2 && !retired[r] -> retired[r] = 1; RETIRE_QUESTION :: else -> r = NONE fi };
     atomic { if :: r != NONE -> GIVE_BACK(r) :: else fi }
  :: atomic { !(LOOK_1) -> skip }
  fi;
  atomic { r = 0; GIVE }
}

/* Chores of every participant. */
#define FREE (me != NONE && AWAKE && !hold && !go)
#define CHORES \
    :: atomic { FREE && OWES_NOWHERE(me) && DUE_SOMEWHERE && rlock == NONE -> TAKE; r = VISIT_FROM; e = LAST }; \
       recover(); \
       atomic { GIVE } \
    :: atomic { FREE && DEAD_GROW && rlock == NONE -> rlock = _pid }; \
       FINISH_DEAD; \
       atomic { GIVE } \
    :: atomic { FREE && COULD_RETIRE && rlock == NONE -> rlock = _pid; r = OLDEST }; \
       retire()

#if HANGUP
#define WAS was = me
#define MORE_LOCALS ; byte was, seen; bool ok, calm, answered
#define MORE_KILLED ; if :: id < NP && was != NONE -> present = present & ~(1 << was) :: else fi; was = 0; seen = 0; ok = 0; calm = 0; answered = 0
#elif SLEEP
#define WAS skip
#define MORE_LOCALS ; byte i; bool slept
#define MORE_KILLED ; i = 0; slept = 0
#elif CLOSE
#define WAS skip
#define MORE_LOCALS ; bool said
#define MORE_KILLED ; said = 0
#else
#define WAS skip
#define MORE_LOCALS
#define MORE_KILLED
#endif
#define LOCALS byte me = id, cur, pos, last, r, e, d, q, w, v; bool hold, go MORE_LOCALS
#define KILLED \
  die[id]?_ -> GIVE; if :: me != NONE -> locked[me] = 0 :: else fi; WAS; me = NONE; \
  cur = 0; pos = 0; last = 0; r = 0; e = 0; d = 0; q = 0; w = 0; v = 0; hold = 0; go = 0 MORE_KILLED

#if CLOSE
#define NOT_TOO_LATE unclosed = close_over; assert(!unclosed)
#else
#define NOT_TOO_LATE skip
#endif
#define CAN_PUSH (CLAIMED < M && OPEN(cur) && !CLOSED(cur) && SEQ(cur, tail[cur]) == tail[cur])

proctype Producer(byte id) {
  LOCALS;
  atomic { if :: LATE -> me = NONE :: else fi };
start:
  {
    if :: me == NONE -> attach(0, NP) :: else fi;
end:
    do
    :: atomic { me == NONE -> break }
    :: atomic { FREE && CAN_PUSH -> NOT_TOO_LATE; pos = tail[cur]; go = 1 };
       atomic { ipos AT(cur, me) = pos; check(cur) };
       atomic { go = 0;
         if
         :: tail[cur] == pos && OPEN(cur) -> tail[cur] = pos + 1; hold = 1; check(cur);
            disorder = !SEALED_BEFORE(cur); assert(!disorder)
         :: else -> pos = 0                        /* lost; the intent stays until the next store */
         fi }
    :: atomic { hold && !go ->                     /* publish */
         robbed = SEQ(cur, pos) != pos; assert(!robbed);
         SEQ(cur, pos) = pos + 1; go = 1 }
    :: atomic { hold && go -> WAKE_ONE(cur, NP, N); clear(cur, me); hold = 0; go = 0; pos = 0 }
    :: atomic { FREE && PUSHED_OUT(cur) && CLAIMED < M && !CLOSED(cur) -> clear(cur, me); go = 1 };
       atomic { go = 0; GO }
    :: atomic { FREE && ipos AT(cur, me) != NONE && !CAN_PUSH -> clear(cur, me) }
#if SLEEP
    :: atomic { FREE && !CAN_PUSH && !sealed[cur] && CLAIMED < M -> clear(cur, me); asleep[me] = cur };
end_asleep:
       atomic { AWAKE -> skip }
#endif
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
#define CALM        (lives == 0 && over && rlock == NONE && !EACH(OTHER, 0, 0, N))
#define OTHER(r, x) (x != me && locked[x])
#ifdef OWN_STAGE
#define ASKED(r) ((r) == cur)
#else
#define ASKED(r) ((r) >= OLDEST && (r) <= LAST)
#endif
#define HEADS_AT(r)  (!ASKED(r) || head[r] == tail[r])
#define HANDS_AT(r)  (!ASKED(r) || !EACH(OWES, r, NP, N))
#define HEADS (HEADS_AT(0) && HEADS_AT(1) && (R < 3 || HEADS_AT(R - 1)))
#ifdef NO_INTENTS
#define HANDS (1)
#else
#define HANDS (HANDS_AT(0) && HANDS_AT(1) && (R < 3 || HANDS_AT(R - 1)))
#endif
#define NOTHING_HERE (SEQ(cur, head[cur]) != head[cur] + 1)
#ifdef INTENTS_FIRST
#define ASK_1 HANDS
#define ASK_2 (cur == LAST && NOTHING_HERE && HEADS)
#else
#define ASK_1 (cur == LAST && NOTHING_HERE && HEADS)
#define ASK_2 HANDS
#endif

inline ask() {
  atomic { seen = roll; calm = CALM };
  if
  :: atomic { PRODUCING -> calm = 0 }                               /* 1 */
  :: atomic { !PRODUCING && rlock != NONE -> calm = 0 }             /* 2 */
  :: atomic { !PRODUCING && rlock == NONE -> TAKE };
     FINISH_DEAD;
     atomic { r = FIRST; e = LAST };
     recover();
     atomic { ok = !hold && ASK_1 };                                /* 3 */
     atomic { ok = ok && ASK_2 };
     atomic { GIVE };
     atomic {
       if
#ifdef NO_ROLL
       :: ok ->
#else
       :: ok && roll == seen ->                                     /* 4 */
#endif
          premature = present != 0 || !DRAINED(0) || !DRAINED(1) || !DRAINED(R - 1);
          assert(!premature); answered = 1; ANSWERED
       :: else -> unending = calm && CALM && !hold && NOTHING_HERE && !(FOLLOWABLE(cur) && SPENT(cur)) && roll == seen; assert(!unending)
       fi; ok = 0 }
  fi;
  atomic { seen = 0; calm = 0 }
}
#define ASK \
    :: atomic { id == N - 1 && FREE && !answered && ipos AT(cur, me) == NONE && NOTHING_HERE && \
         !(FOLLOWABLE(cur) && SPENT(cur)) -> skip }; \
       ask()
#else
#define ASK
#endif

#if CLOSE
#ifdef CLOSED_ANYWHERE
#define UNSEALED (1)
#else
#define UNSEALED (!sealed[cur])
#endif
#ifdef CLOSED_REACHED
#define CLOSED_QUESTION assert(cur == 0)
#else
#define CLOSED_QUESTION skip
#endif
#define LEFT(r) (head[r] < before[r])
/* CLOSED is read first, then the rest. */
#define SAY_CLOSED \
    :: atomic { FREE && !said && closed[cur] && ipos AT(cur, me) == NONE -> go = 1 }; \
       atomic { go = 0; \
         if \
         :: UNSEALED && head[cur] == tail[cur] -> \
            forsaken = LEFT(0) || LEFT(1) || LEFT(R - 1); assert(!forsaken); said = 1; CLOSED_QUESTION \
         :: else \
         fi }
#else
#define SAY_CLOSED
#endif

proctype Consumer(byte id) {
  LOCALS;
start:
  {
    if :: me == NONE -> attach(NP, N) :: else fi;
end:
    do
    :: atomic { me == NONE -> break }
    :: atomic { FREE && SEQ(cur, head[cur]) == head[cur] + 1 -> pos = head[cur]; go = 1 };
       atomic { ipos AT(cur, me) = pos; check(cur) };
       atomic { go = 0;
         if
         :: head[cur] == pos -> head[cur] = pos + 1; hold = 1; check(cur);
            disorder = !SETTLED_BEFORE(cur); assert(!disorder)
         :: else -> pos = 0
         fi }
    :: atomic { hold && !go -> robbed = SEQ(cur, pos) != pos + 1; assert(!robbed); SEQ(cur, pos) = pos + CAP; go = 1 }
    :: atomic { hold && go -> WAKE_ONE(cur, 0, NP); clear(cur, me); hold = 0; go = 0; pos = 0;
#if SLEEP
         if :: slept && SEQ(cur, head[cur]) == head[cur] + 1 -> WAKE_ONE(cur, NP, N) :: else fi; slept = 0
#endif
         }
    :: atomic { FREE && SEQ(cur, head[cur]) != head[cur] + 1 && FOLLOWABLE(cur) && SPENT(cur) ->
         unheard_of = SEQ(cur, head[cur]) != head[cur] && SEQ(cur, head[cur]) != head[cur] + 1 - CAP; assert(!unheard_of);
         clear(cur, me); go = 1 };
       atomic { go = 0;
#ifndef NO_WAKE_PASS
         WAKE_ALL(cur, NP, N);
#endif
         GO }
    :: atomic { FREE && ipos AT(cur, me) != NONE && SEQ(cur, head[cur]) != head[cur] + 1 ->
         clear(cur, me) }                          /* empty */
#if SLEEP
    :: atomic { FREE && SEQ(cur, head[cur]) != head[cur] + 1 && !(FOLLOWABLE(cur) && SPENT(cur)) ->
         clear(cur, me); asleep[me] = cur };
end_asleep:
       atomic { AWAKE -> slept = 1 }
#endif
    CHORES
    ASK
    SAY_CLOSED
    od
  } unless { atomic { KILLED } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

#ifdef GROW_UNLOCKED
#define TAKE_TO_GROW skip
#else
#define TAKE_TO_GROW rlock == NONE -> rlock = _pid
#endif
#ifdef BUILD_UNLOCKED
#define TAKE_TO_BUILD skip
#else
#define TAKE_TO_BUILD glock == NONE -> glock = _pid
#endif
proctype Grower(byte id) {
  byte r, v, last;
#if SLEEP
  byte i;
#endif
start:
  {
    do
    :: atomic { LAST == R - 1 -> break }
    :: atomic { LAST < R - 1 -> skip };
end:
       atomic { TAKE_TO_BUILD };
       if
       :: atomic { LAST == R - 1 -> skip }
       :: atomic { LAST < R - 1 -> last = LAST; made[last + 1] = 0 };
          made[last + 1] = 1;
end_locked:
          atomic { TAKE_TO_GROW };
          FINISH_DEAD;
#ifdef SEAL_FIRST
          sealed[last] = 1;
#endif
          recorded[last] = 1;
          finish();
          atomic { GIVE }
       fi;
       atomic { glock = NONE; last = 0 }
    od
  } unless { atomic { die[id]?_ -> GIVE; if :: glock == _pid -> glock = NONE :: else fi; r = 0; v = 0; last = 0 } };
  if :: atomic { lives > 0 && LAST < R - 1 -> lives--; goto start } :: skip fi
}

#if CLOSE
proctype Closer(byte id) {
  byte r; bool v;
  {
    atomic { before[0] = tail[0]; before[1] = tail[1]; before[R - 1] = tail[R - 1] };
    do
    :: atomic { v = ending[r]; closed[r] = 1 };
#ifdef BLIND_CLOSE
       v = 0;
#endif
       if
       :: atomic { v -> r++ }
       :: atomic { !v -> r = 0; close_over = 1; break }
       fi
    od
  } unless { atomic { die[id]?_ -> r = 0; v = 0 } }
}
#define HALF_WAY(r) (r < R - 1 && closed[r] && recorded[r] && !closed[r + 1])
#define LEFT_OPEN ((PRODUCING || CONSUMING) && (HALF_WAY(0) || HALF_WAY(1) || HALF_WAY(R - 1)))
#else
#define LEFT_OPEN 0
#endif

proctype Death() {
  byte c;
  do
  :: atomic { c < CRASHES -> c++ };
end1:
     if
     :: die[0]!1
     :: die[1]!1
     :: die[2]!1
#if NP + NC + GROWERS + CLOSE > 3
     :: die[3]!1
#endif
#if NP + NC + GROWERS + CLOSE > 4
     :: die[4]!1
#endif
     :: skip
     fi
  :: break
  od;
  over = 1
}

/* In a final state. */
#define STRANDED_IN(r) (CONSUMING && !DRAINED(r))
#define NO_PUSH (PRODUCING && CLAIMED < M && !CLOSED(0) && (CONSUMING || SEQ(LAST, tail[LAST]) == tail[LAST]))
active proctype Watch() {
  timeout ->
  atomic {
    unclosed = LEFT_OPEN; assert(!unclosed);
    forgotten = FORGOTTEN; assert(!forgotten);
    stranded = STRANDED_IN(0) || STRANDED_IN(1) || STRANDED_IN(R - 1) || NO_PUSH;
    assert(!stranded) }
}

init {
  byte i;
  atomic {
    made[0] = 1;
    for (i : 0 .. R * CAP - 1) { seq[i] = CAP + i % CAP };
    for (i : 0 .. N - 1) { locked[i] = (i >= NP || !LATE) };
    i = 0;
    do :: i < NP -> run Producer(i); i++ :: i >= NP && i < N -> run Consumer(i); i++ :: i == N -> i = 0; break od;
    for (i : 0 .. GROWERS - 1) { run Grower(N + i) };
    i = 0;
#if CLOSE
    run Closer(N + GROWERS);
#endif
    run Death()
  }
}
