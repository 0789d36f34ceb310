/* An SPSC ring that grows while it runs. The segments, the two locks, and finishing an interrupted
   growth are those of grow.pml, without the seal. Only the producer can end a segment, in line, and
   other processes request it.

   grow       as there: 1 record the next segment, 2 closed |= SUPERSEDED; if CLOSED was set: close
              the next segment. Wake all.
   close      as there.
   push       reads `closed`. CLOSED: refused, whatever else is set. SUPERSEDED: as soon as the slot
              of the next message is free, publish (pos + 1, SEGMENT_END) there, store tail, move to
              the next segment and push there.
   pop        meets SEGMENT_END in place of a message: moves to the next segment. The marker is
              never released, so a successor meets it again. Then, under the recovery lock, retires the
              segment and reclaims its slots. Closed is returned if nothing is found after CLOSED
              was read.
   newcomers  if the first segment has a next one: under the recovery lock, finish, take the seat,
              begin at the oldest segment that is not retired, and find the position before the lock
              is released. Otherwise without the lock. The first segment may have got a next one
              before the seat was taken: check again then, and if so release the seat and begin
              again.
   positions  are found by a walk from the hint. A producer that finds SEGMENT_END during the walk,
              or just before its position, moves to the next segment, and walks there.
   hang-up    the producer is gone, and after that nothing is found at the consumer's position; the
              arrivals are unchanged.

   Asserted: messages arrive in order, each once (`disorder`); no walk meets an impossible word
   (`unheard_of`). As in grow.pml: unmade, unclosed, forsaken, stranded, premature. */
#ifndef CAP
#define CAP 2
#endif
#ifndef M
#define M 4
#endif
#ifndef GROWS
#define GROWS 1
#endif
#ifndef GROWERS
#define GROWERS 1
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef LIVES
#define LIVES 2
#endif
#ifndef LATE
#define LATE 0     /* 1: the producers attach after the other processes */
#endif
#ifndef CLOSE
#define CLOSE 0
#endif
#ifndef HANGUP
#define HANGUP 0
#endif
/* Seeded bugs:
   MARK_UNFREE       the marker is published though its slot holds a message
   PAST_MARK         the walk of a producer's successor does not detect the marker
   PAST_TOLD         nor that it may be just before the hint
   RELEASE_MARK      the consumer releases the marker's slot
   FOLLOW_EARLY      the consumer moves on if it finds nothing and growth is requested
   ASK_FIRST         growth is requested before the next segment is recorded
   BUILD_UNLOCKED    grow without the growth lock
   HALF_CLOSED, BLIND_CLOSE, BLIND_GROW     as in grow.pml
   ENDING_WINS       a producer that reads CLOSED and SUPERSEDED moves
   LOOK_FIRST        Closed: the slot is read before CLOSED
   RETIRE_EARLY      retired if nothing is found and growth is requested
   RETIRE_UNLOCKED   retired without the recovery lock
   WALK_UNLOCKED     the lock is released before the position is found
   ONE_LOOK          a newcomer does not check again once it has its seat
   NO_ROLL, NO_REPOP of hang-up
   Questions: RETIRE_REACHED, CLOSED_REACHED, ANSWER_REACHED */

#define R     (GROWS + 1)
#define NONE  255
#define SLOT(r, q) [(r) * CAP + (q) % CAP]

byte seq[R * CAP], message[R * CAP];
bool marked[R * CAP];
byte tail[R] = CAP, head[R] = CAP;      /* hints */
bool recorded[R], made[R], ending[R], retired[R];
bool held[2];                           /* seats: 0 the producer's, 1 the consumer's */
byte rlock = NONE, glock = NONE;
#if HANGUP
byte roll;
bool present = !LATE;           /* a producer is attached */
#endif
byte sent, got, lives = LIVES;
bool over;
#if CLOSE
bool closed[R], close_over;
byte before;                    /* sent at the start of the close */
#define CLOSED(r) closed[r]
#else
#define CLOSED(r) (0)
#endif
chan die[3 + GROWERS + CLOSE] = [0] of { bit };
hidden byte disorder, unheard_of, unmade, unclosed, forsaken, stranded, premature;

#if defined(HALF_CLOSED) || defined(BLIND_GROW)
#define HALF(r) (0)
#else
#define HALF(r) (CLOSED(r) && !CLOSED(r + 1))
#endif
#define UNFINISHED_AT(r) (recorded[r] && (!ending[r] || HALF(r)))
#if GROWS == 1
#define OLDEST (retired[0] -> 1 : 0)
#define LAST   (recorded[0] -> 1 : 0)
#define UNFINISHED UNFINISHED_AT(0)
#else
#define OLDEST (retired[1] -> 2 : (retired[0] -> 1 : 0))
#define LAST   (recorded[1] -> 2 : (recorded[0] -> 1 : 0))
#define UNFINISHED (UNFINISHED_AT(0) || UNFINISHED_AT(1))
#endif
#define GIVE if :: rlock == _pid -> rlock = NONE :: else fi
#define GO unmade = !made[cur + 1] || !recorded[cur]; assert(!unmade); cur++; walked = 0; pos = 0

/* Under the recovery lock. */
inline finish() {
  r = 0;
  do
  :: atomic { r < R - 1 && UNFINISHED_AT(r) -> skip };
#if CLOSE
     atomic { v = closed[r]; ending[r] = 1 };
#ifdef BLIND_GROW
     v = 0;
#endif
     atomic { if :: v -> closed[r + 1] = 1 :: else fi; v = 0; r++ }
#else
     atomic { ending[r] = 1; r++ }
#endif
  :: atomic { r < R - 1 && !UNFINISHED_AT(r) -> r++ }
  :: atomic { r == R - 1 -> r = 0; break }
  od
}

#if HANGUP
#define ARRIVE(role) if :: role == 0 -> roll++; present = 1 :: else fi
#else
#define ARRIVE(role) skip
#endif

#define MARK_AT(q)  (seq SLOT(cur, q) == (q) + 1 && marked SLOT(cur, q))
#define MESSAGE_AT(q) (seq SLOT(cur, q) == (q) + 1 && !marked SLOT(cur, q))
#ifdef PAST_MARK
#define STOPS_AT(q) (0)
#define PASSES(q)   (seq SLOT(cur, q) == (q) + 1 || seq SLOT(cur, q) == (q) + CAP)
#else
#define STOPS_AT(q) MARK_AT(q)
#define PASSES(q)   (MESSAGE_AT(q) || seq SLOT(cur, q) == (q) + CAP)
#endif
#define NOT_HEARD_OF unheard_of = 1; assert(!unheard_of)

/* Ends at the segment and position of the next message. */
inline walk_0() {
  do
  :: atomic { in && !walked -> pos = tail[cur];
#if !defined(PAST_TOLD) && !defined(PAST_MARK)
       if :: pos > CAP && MARK_AT(pos - 1) -> pos-- :: else fi
#endif
       };
     do
     :: atomic { STOPS_AT(pos) -> GO; break }
     :: atomic { !STOPS_AT(pos) ->
          if
          :: PASSES(pos) -> pos++
          :: !PASSES(pos) && (seq SLOT(cur, pos) == pos || seq SLOT(cur, pos) == pos + 1 - CAP) -> walked = 1; break
          :: else -> NOT_HEARD_OF
          fi }
     od
  :: atomic { !in || walked -> break }
  od
}

/* Ends at the position of the next expected message, which may be a marker. */
inline walk_1() {
  if
  :: atomic { in && !walked -> pos = head[cur] };
     do
     :: atomic { seq SLOT(cur, pos) == pos + CAP || seq SLOT(cur, pos) == pos + CAP + 1 -> pos++ }
     :: atomic { seq SLOT(cur, pos) == pos || seq SLOT(cur, pos) == pos + 1 -> walked = 1; break }
     :: atomic { seq SLOT(cur, pos) < pos || seq SLOT(cur, pos) > pos + CAP + 1 -> NOT_HEARD_OF }
     od
  :: atomic { !in || walked -> skip }
  fi
}

/* Afterwards the process has the seat, or `out` is set: the seat is taken. */
inline attach(role) {
  do
  :: atomic { !recorded[0] -> skip };
     atomic { if :: held[role] -> out = 1 :: else -> held[role] = 1; in = 1 fi };
     if
#ifdef ONE_LOOK
     :: atomic { 0 -> skip }
     :: atomic { 1 -> break }
#else
     :: atomic { in && recorded[0] -> held[role] = 0; in = 0 }
     :: atomic { !in || !recorded[0] -> break }
#endif
     fi
  :: atomic { recorded[0] && rlock == NONE -> rlock = _pid };
     finish();
     atomic { if :: held[role] -> out = 1 :: else -> held[role] = 1; in = 1; cur = OLDEST fi };
     break
  od;
  atomic { if :: in -> ARRIVE(role) :: else fi };
#ifdef WALK_UNLOCKED
  atomic { GIVE }
#endif
}

#define CHORES \
    :: atomic { in && walked && UNFINISHED && rlock == NONE -> rlock = _pid }; \
       finish(); \
       atomic { GIVE }

#if CLOSE
#define NOT_TOO_LATE if :: !closed[cur] -> unclosed = close_over; assert(!unclosed) :: else fi
#else
#define NOT_TOO_LATE skip
#endif
#ifdef ENDING_WINS
#define REFUSED (CLOSED(cur) && !ending[cur])
#else
#define REFUSED CLOSED(cur)
#endif
#ifdef MARK_UNFREE
#define ROOM (seq SLOT(cur, pos) == pos || ending[cur])
#else
#define ROOM (seq SLOT(cur, pos) == pos)
#endif

proctype Producer(byte id) {
  byte cur, pos, r; bool in, out, walked, v, move;
  atomic { if :: LATE || id == 1 -> skip :: else -> in = 1; walked = 1; pos = CAP fi };
start:
  {
    if :: !in -> attach(0); walk_0(); atomic { GIVE } :: else fi;
end:
    do
    :: atomic { out -> out = 0; break }
    :: atomic { in && walked && sent < M && ROOM && !REFUSED -> NOT_TOO_LATE; move = ending[cur] };
       if
       :: atomic { !move -> seq SLOT(cur, pos) = pos + 1; message SLOT(cur, pos) = sent; sent++ };
          atomic { pos++; tail[cur] = pos }
       :: atomic { move -> seq SLOT(cur, pos) = pos + 1; marked SLOT(cur, pos) = 1 };
          atomic { tail[cur] = pos + 1 };
          atomic { GO; move = 0 };
          walk_0()
       fi
    CHORES
    od
  } unless { atomic { die[id]?_ -> GIVE; if :: in -> held[0] = 0;
#if HANGUP
    present = 0
#endif
    :: else fi; cur = 0; pos = 0; r = 0; in = 0; out = 0; walked = 0; v = 0; move = 0 } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

#define ASKED_FOR (cur < R - 1 && ending[cur] && seq SLOT(cur, pos) == pos)
#ifdef FOLLOW_EARLY
#define MEETS_MARK (MARK_AT(pos) || ASKED_FOR)
#else
#define MEETS_MARK MARK_AT(pos)
#endif
#ifdef RETIRE_EARLY
#define RETIRES(r) (!retired[r] && (cur > r || cur == r && ASKED_FOR))
#else
#define RETIRES(r) (!retired[r] && cur > r)
#endif
#ifdef RETIRE_UNLOCKED
#define MAY_RETIRE (1)
#define TAKE_TO_RETIRE skip
#else
#define MAY_RETIRE (rlock == NONE)
#define TAKE_TO_RETIRE rlock = _pid
#endif
#ifdef RETIRE_REACHED
#define RETIRE_QUESTION assert(false)
#else
#define RETIRE_QUESTION skip
#endif
#ifdef CLOSED_REACHED
#define CLOSED_QUESTION assert(cur == 0)
#else
#define CLOSED_QUESTION skip
#endif
#ifdef ANSWER_REACHED
#define ANSWERED assert(cur == 0)
#else
#define ANSWERED skip
#endif
#define FOUND (seq SLOT(cur, pos) == pos + 1)
#ifdef LOOK_FIRST
#define CLOSED_1 (!FOUND)
#define CLOSED_2 closed[cur]
#else
#define CLOSED_1 closed[cur]
#define CLOSED_2 (!FOUND)
#endif

proctype Consumer(byte id) {
  byte cur, pos, r; bool in, out, walked, v;
#if HANGUP
  byte seen; bool ok, answered;
#endif
#if CLOSE
  bool said;
#endif
  in = 1; walked = 1; pos = CAP;
start:
  {
    if :: !in -> attach(1); walk_1(); atomic { GIVE } :: else fi;
end:
    do
    :: atomic { out -> out = 0; break }
    :: atomic { in && walked && MESSAGE_AT(pos) ->                                      /* pop */
         disorder = message SLOT(cur, pos) != got; assert(!disorder); got++;
         message SLOT(cur, pos) = 0; seq SLOT(cur, pos) = pos + CAP };
       atomic { pos++; head[cur] = pos }
    :: atomic { in && walked && MEETS_MARK ->
#ifdef RELEASE_MARK
         seq SLOT(cur, pos) = pos + CAP; marked SLOT(cur, pos) = 0;
#endif
         GO };
       walk_1()
    :: atomic { in && walked && OLDEST < R - 1 && RETIRES(OLDEST) && MAY_RETIRE -> TAKE_TO_RETIRE; r = OLDEST };
       atomic { retired[r] = 1; RETIRE_QUESTION };
       atomic { seq[r * CAP] = 0; seq[r * CAP + 1] = 0; marked[r * CAP] = 0; marked[r * CAP + 1] = 0 };
       atomic { r = 0; GIVE }
    CHORES
#if CLOSE
    :: atomic { in && walked && !said && CLOSED_1 -> skip };
       atomic {
         if
         :: CLOSED_2 -> forsaken = got < before; assert(!forsaken); said = 1; CLOSED_QUESTION
         :: else
         fi }
#endif
#if HANGUP
    :: atomic { in && walked && !answered && !FOUND -> seen = roll };
       if
       :: atomic { held[0] -> skip }
       :: atomic { !held[0] -> ok = 1 };
#ifndef NO_REPOP
          atomic { ok = !FOUND };
#endif
          atomic {
            if
#ifdef NO_ROLL
            :: ok ->
#else
            :: ok && roll == seen ->
#endif
               premature = present || sent != got; assert(!premature); answered = 1; ANSWERED
            :: else
            fi; ok = 0 }
       fi;
       atomic { seen = 0 }
#endif
    od
  } unless { atomic { die[id]?_ -> GIVE; if :: in -> held[1] = 0 :: else fi;
#if HANGUP
    seen = 0; ok = 0; answered = 0;
#endif
#if CLOSE
    said = 0;
#endif
    cur = 0; pos = 0; r = 0; in = 0; out = 0; walked = 0; v = 0 } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

#ifdef BUILD_UNLOCKED
#define TAKE_TO_BUILD skip
#else
#define TAKE_TO_BUILD glock == NONE -> glock = _pid
#endif
proctype Grower(byte id) {
  byte r, last; bool v;
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
          atomic { rlock == NONE -> rlock = _pid };
          finish();
#ifdef ASK_FIRST
          ending[last] = 1;
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
    atomic { before = sent };
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
#define LEFT_OPEN ((held[0] || held[1]) && (HALF_WAY(0) || HALF_WAY(1) || HALF_WAY(R - 1)))
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
     :: die[3]!1
#if GROWERS + CLOSE > 1
     :: die[4]!1
#endif
     :: skip
     fi
  :: break
  od;
  over = 1
}

#define NO_PUSH (held[0] && held[1] && sent < M && !CLOSED(0))
active proctype Watch() {
  timeout ->
  atomic {
    unclosed = LEFT_OPEN; assert(!unclosed);
    stranded = held[1] && got != sent || NO_PUSH; assert(!stranded) }
}

init {
  byte i;
  atomic {
    made[0] = 1;
    for (i : 0 .. R * CAP - 1) { seq[i] = CAP + i % CAP };
    held[0] = !LATE; held[1] = 1; i = 0;
    run Producer(0);
    if :: LATE -> run Producer(1) :: else fi;
    run Consumer(2); run Grower(3);
    if :: GROWERS > 1 -> run Grower(4) :: else fi;
#if CLOSE
    run Closer(3 + GROWERS);
#endif
    run Death()
  }
}
