/* An SPSC ring that grows while it runs. The chain, the hidden name, the entry, `gone` and the rules (A) and (B) are those of
   grow.pml; here an attach takes the recovery lock too. Only the producer can end a ring, in line: others ask it to.

   grow, by anybody, of the last ring r: under r's recovery lock record the successor, link its hidden name, and store `asked`
        last. Whoever gets the lock and finds a record without `asked` takes it back: its maker died.
   push  reads `asked` when the ring is full, and at the end of an interval. If it stands, the producer publishes
        (pos + 1, MOVED) where the next message would go, as soon as that slot is free, then moves, then pushes there.
   pop   meets MOVED where it expects a message: moves. The marker is never released: whoever comes later meets it again.
   successors of the dead  walk from the hint; a producer that meets MOVED on its way moves.
   gone  as in grow.pml; drained is what a consumer knows that has met the marker.

   Asserted: messages come in order, each once (`disorder`); evicted, unnamed, stranded, premature as in grow.pml. */
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
#define LATE 0     /* 1: the producer comes when the others are there already, and others after it */
#endif
#ifndef HANGUP
#define HANGUP 0
#endif
/* Seeded bugs:
   MARK_UNFREE       the marker is published though its slot holds a message
   PAST_MARK         the walk of a producer's successor does not know the marker
   RELEASE_MARK      the consumer gives the marker's slot back
   FOLLOW_EARLY      the consumer follows when it finds nothing and growth is asked for
   ASK_UNLINKED      growth is asked for before the successor has its name
   GROW_UNLOCKED     grow without the recovery lock
   GONE_UNMOVED      gone though the producer has not moved
   STALE_ENTRY       a newcomer does not look whether the ring is gone once it has the lock
   NO_ROLL, NEWEST_ONLY, GONE_UNSEEN, NO_REPOP    of hang-up
   Questions: GONE_REACHED, ANSWER_REACHED */

#define R     (GROWS + 1)
#define NONE  255
#define SLOT(r, q) [(r) * CAP + (q) % CAP]

byte seq[R * CAP], message[R * CAP];
bool marked[R * CAP];
byte tail[R] = CAP, head[R] = CAP;      /* hints */
bool recorded[R], linked[R], asked[R], gone[R];
bool held[2 * R];                       /* seats: 0 the producer's, 1 the consumer's */
byte rlock[R] = NONE;
byte roll[R];
bool present = !LATE;           /* the producer has come, and is not gone */
byte sent, got, lives = LIVES;
bool over;
chan die[3 + GROWERS] = [0] of { bit };
hidden byte disorder, evicted, unnamed, stranded, premature, robbed;

#define HELD(r, x) held[(r) * 2 + (x)]
#if GROWS == 1
#define ENTRY (gone[0] -> 1 : 0)
#define LAST  (asked[0] -> 1 : 0)
#define ROLLS (roll[0] + roll[1])
#define KNOWN_ENTRY(x) (HELD(0, x) -> 0 : 1)
#define GIVE_ALL GIVE(0); GIVE(1)
#define LEAVE_ALL HELD(0, role) = 0; if :: cur >= 1 -> HELD(1, role) = 0 :: else fi
#else
#define ENTRY (gone[1] -> 2 : (gone[0] -> 1 : 0))
#define LAST  (asked[1] -> 2 : (asked[0] -> 1 : 0))
#define ROLLS (roll[0] + roll[1] + roll[2])
#define KNOWN_ENTRY(x) (HELD(0, x) -> 0 : (HELD(1, x) -> 1 : 2))
#define GIVE_ALL GIVE(0); GIVE(1); GIVE(2)
#define LEAVE_ALL HELD(0, role) = 0; if :: cur >= 1 -> HELD(1, role) = 0 :: else fi; \
  if :: cur >= 2 -> HELD(2, role) = 0 :: else fi
#endif
#define GIVE(r) if :: rlock[r] == _pid -> rlock[r] = NONE :: else fi

/* Comes out with the seat of the entry, or with `out`: taken. */
inline attach(role) {
  r = ENTRY;
opened:
  atomic { rlock[r] == NONE -> rlock[r] = _pid };
  atomic {
    if
#ifndef STALE_ENTRY
    :: gone[r] -> GIVE(r); r = ENTRY; goto opened
    :: !gone[r] && HELD(r, role) -> out = 1
    :: !gone[r] && !HELD(r, role) -> HELD(r, role) = 1; cur = r; in = 1
#else
    :: HELD(r, role) -> out = 1
    :: !HELD(r, role) -> HELD(r, role) = 1; cur = r; in = 1
#endif
    fi };
  atomic { if :: in && role == 0 -> roll[r]++; present = 1 :: else fi; GIVE(r); r = 0 }
}

inline move(role) {
  atomic { unnamed = !linked[cur + 1] || !recorded[cur]; assert(!unnamed) };
  atomic { rlock[cur + 1] == NONE -> rlock[cur + 1] = _pid };
  atomic { evicted = HELD(cur + 1, role); assert(!evicted);
    HELD(cur + 1, role) = 1; cur++; if :: role == 0 -> roll[cur]++ :: else fi };
  atomic { GIVE(cur) };
}

#define LEAVE_GONE(role) \
    :: atomic { in && cur > 0 && gone[0] && HELD(0, role) -> HELD(0, role) = 0 } \
    :: atomic { R > 2 && in && cur > 1 && gone[1] && HELD(1, role) -> HELD(1, role) = 0 }

proctype Producer(byte id) {
  byte cur, pos, r, role; bool in, out, walked, ending;
  atomic { if :: LATE || id == 1 -> skip :: else -> in = 1; walked = 1; pos = CAP; roll[0] = 1 fi };
start:
  {
    if :: !in -> attach(0) :: else fi;
end:
    do
    :: atomic { out -> out = 0; break }
    :: atomic { in && !walked -> pos = tail[cur] };               /* the walk, from the hint */
       do
#ifndef PAST_MARK
       :: atomic { seq SLOT(cur, pos) == pos + 1 && marked SLOT(cur, pos) -> ending = 1; break }
       :: atomic { seq SLOT(cur, pos) == pos + 1 && !marked SLOT(cur, pos) || seq SLOT(cur, pos) == pos + CAP -> pos++ }
#else
       :: atomic { seq SLOT(cur, pos) == pos + 1 || seq SLOT(cur, pos) == pos + CAP -> pos++ }
#endif
       :: atomic { seq SLOT(cur, pos) == pos || seq SLOT(cur, pos) == pos + 1 - CAP -> break }
       od;
       walked = 1
    :: atomic { in && walked && !ending && sent < M && seq SLOT(cur, pos) == pos ->          /* push */
         seq SLOT(cur, pos) = pos + 1; message SLOT(cur, pos) = sent; sent++ };
       atomic { pos++; tail[cur] = pos }
#if defined(MARK_UNFREE)
    :: atomic { in && walked && !ending && sent < M && cur < R - 1 && asked[cur] ->
         seq SLOT(cur, pos) = pos + 1; marked SLOT(cur, pos) = 1; ending = 1 }
#else
    :: atomic { in && walked && !ending && sent < M && cur < R - 1 && asked[cur] && seq SLOT(cur, pos) == pos ->
         seq SLOT(cur, pos) = pos + 1; marked SLOT(cur, pos) = 1; ending = 1 }
#endif
    :: atomic { in && ending -> skip };
       move(0);
       atomic { ending = 0; walked = 0; pos = 0 }
    LEAVE_GONE(0)
    od
  } unless { atomic { die[id]?_ -> GIVE_ALL; role = 0; if :: in -> LEAVE_ALL; present = 0 :: else fi;
    cur = 0; pos = 0; r = 0; in = 0; out = 0; walked = 0; ending = 0 } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

#ifdef FOLLOW_EARLY
#define MEETS_MARK (seq SLOT(cur, pos) == pos + 1 && marked SLOT(cur, pos) || \
  cur < R - 1 && asked[cur] && seq SLOT(cur, pos) == pos)
#else
#define MEETS_MARK (seq SLOT(cur, pos) == pos + 1 && marked SLOT(cur, pos))
#endif
#ifdef GONE_UNMOVED
#define GOES(r) (cur > r)
#else
#define GOES(r) (cur > r && (!HELD(r, 0) || HELD(r + 1, 0)))
#endif
#ifdef GONE_REACHED
#define GONE_QUESTION assert(false)
#else
#define GONE_QUESTION skip
#endif
#ifdef ANSWER_REACHED
#define ANSWERED assert(false)
#else
#define ANSWERED skip
#endif
#ifdef NEWEST_ONLY
#define ASKED cur
#else
#define ASKED e
#endif

proctype Consumer(byte id) {
  byte cur, pos, r, e, seen, role; bool in, out, walked, ok, answered;
  in = 1; walked = 1; pos = CAP;
start:
  {
    if :: !in -> attach(1) :: else fi;
end:
    do
    :: atomic { out -> out = 0; break }
    :: atomic { in && !walked -> pos = head[cur] };
       do
       :: atomic { seq SLOT(cur, pos) == pos + CAP || seq SLOT(cur, pos) == pos + CAP + 1 -> pos++ }
       :: atomic { seq SLOT(cur, pos) == pos || seq SLOT(cur, pos) == pos + 1 -> break }
       od;
       walked = 1
    :: atomic { in && walked && seq SLOT(cur, pos) == pos + 1 && !marked SLOT(cur, pos) ->   /* pop */
         disorder = message SLOT(cur, pos) != got; assert(!disorder); got++;
         message SLOT(cur, pos) = 0; seq SLOT(cur, pos) = pos + CAP };
       atomic { pos++; head[cur] = pos }
    :: atomic { in && walked && MEETS_MARK ->
#ifdef RELEASE_MARK
         seq SLOT(cur, pos) = pos + CAP; marked SLOT(cur, pos) = 0
#else
         skip
#endif
       };
       move(1);
       atomic { walked = 0; pos = 0 }
    :: atomic { in && walked && ENTRY < cur && GOES(ENTRY) && rlock[ENTRY] == NONE -> r = ENTRY; rlock[r] = _pid };
       atomic { if :: GOES(r) && !gone[r] -> gone[r] = 1; GONE_QUESTION :: else fi; GIVE(r); r = 0 }
    LEAVE_GONE(1)
#if HANGUP
    :: atomic { in && walked && !answered && seq SLOT(cur, pos) != pos + 1 -> e = KNOWN_ENTRY(1); seen = ROLLS };
       if
       :: atomic { HELD(ASKED, 0) -> skip }
       :: atomic { !HELD(ASKED, 0) -> skip };
#ifdef GONE_UNSEEN
          atomic { ok = 1 };
#else
          atomic { ok = !gone[e] };
#endif
#ifndef NO_REPOP
          atomic { ok = ok && seq SLOT(cur, pos) != pos + 1 };
#endif
          atomic {
            if
#ifdef NO_ROLL
            :: ok ->
#else
            :: ok && ROLLS == seen ->
#endif
               premature = present || sent != got; assert(!premature); answered = 1; ANSWERED
            :: else
            fi; ok = 0 }
       fi;
       atomic { e = 0; seen = 0 }
#endif
    od
  } unless { atomic { die[id]?_ -> GIVE_ALL; role = 1; if :: in -> LEAVE_ALL :: else fi;
    cur = 0; pos = 0; r = 0; e = 0; seen = 0; in = 0; out = 0; walked = 0; ok = 0; answered = 0 } };
  if :: atomic { lives > 0 -> lives--; goto start } :: skip fi
}

#ifdef GROW_UNLOCKED
#define TAKE_TO_GROW skip
#else
#define TAKE_TO_GROW rlock[r] == NONE -> rlock[r] = _pid
#endif
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
       :: atomic { asked[r] -> skip }
       :: atomic { !asked[r] && recorded[r] -> linked[r + 1] = 0 };
          recorded[r] = 0
       :: atomic { !asked[r] && !recorded[r] -> skip };
          recorded[r] = 1;
#ifdef ASK_UNLINKED
          asked[r] = 1;
#endif
          linked[r + 1] = 1;
          asked[r] = 1
       fi;
       atomic { GIVE(r); r = 0 }
    od
  } unless { atomic { die[id]?_ -> GIVE_ALL; r = 0 } };
  if :: atomic { lives > 0 && LAST < R - 1 -> lives--; goto start } :: skip fi
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
     :: die[3]!1
#if GROWERS > 1
     :: die[4]!1
#endif
     :: skip
     fi
  :: break
  od;
  over = 1
}

#define NO_PUSH (HELD(ENTRY, 0) && HELD(ENTRY, 1) && sent < M)
active proctype Watch() {
  timeout ->
  atomic { stranded = HELD(ENTRY, 1) && got != sent || NO_PUSH; assert(!stranded) }
}

init {
  byte i;
  atomic {
    linked[0] = 1;
    for (i : 0 .. R * CAP - 1) { seq[i] = CAP + i % CAP };
    held[0] = !LATE; held[1] = 1; i = 0;
    run Producer(0);
    if :: LATE -> run Producer(1) :: else fi;
    run Consumer(2); run Grower(3);
    if :: GROWERS > 1 -> run Grower(4) :: else fi;
    run Death()
  }
}
