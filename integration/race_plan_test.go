package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A race is one round of TestRaces: something that an administrator asks for, and what befalls the controller at about
// that moment. All of it follows from the seed, except how fast the processes are.
type race struct {
	number    int
	operation int // of raceOperations
	blow      blow
	throne    int32 // who controls when it begins
	successor int32 // who is to control after it, 0 for whoever is first

	moment time.Duration // from the operation's beginning to the blow; the blow comes first if negative
	second time.Duration // from the operation's beginning to its second part, such as a cancellation
	hold   time.Duration // from the blow to its end
	prompt bool          // the session of a killed broker ends with it, and is not waited for

	from, to, again [][]int32 // replicas of each partition, in the beginning and as they are asked for
	follow          int       // what the second part is, if there is one
	megabytes       int       // that there are to be copied
	byZnode         bool      // it is asked for in ZooKeeper
}

// blow is what befalls the controller.
type blow int

const (
	killed    blow = iota // SIGKILL
	frozen                // SIGSTOP until its session is over, then SIGCONT
	abdicated             // its znode is deleted
	expired               // its session ends
	blows
)

func (b blow) String() string {
	return [...]string{"killed", "frozen", "deposed", "expired"}[b]
}

func (r race) String() string {
	return fmt.Sprintf("round %d: %s (%d partitions %v to %v, follow %d, %v, znode %v, %d MB), controller %d %v after %v, then %d, for %v",
		r.number, raceOperations[r.operation].name, len(r.from), r.from, r.to, r.follow, r.second, r.byZnode, r.megabytes, r.throne, r.blow,
		r.moment, r.successor, r.hold)
}

// planRace returns a round with a number among brokers, of whom some may be Kafka's.
func planRace(seed uint64, number, brokers int, mixed bool) race {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	r := race{number: number, operation: pickOperation(random, mixed)}
	r.blow = blow(random.IntN(int(blows)))
	ids := random.Perm(brokers)
	r.throne = int32(ids[0] + 1)
	if random.IntN(2) == 0 {
		r.successor = int32(ids[1] + 1)
	}
	// Most of what can go wrong lies in the first milliseconds.
	span := []time.Duration{30 * time.Millisecond, 150 * time.Millisecond, 800 * time.Millisecond}[random.IntN(3)]
	r.moment = time.Duration(random.Int64N(int64(span))) - span/8
	r.second = time.Duration(random.Int64N(int64(400 * time.Millisecond)))
	r.hold = time.Duration(random.Int64N(int64(1500 * time.Millisecond)))
	r.prompt = random.IntN(3) > 0
	r.follow = random.IntN(int(follows))
	r.megabytes = random.IntN(3) * random.IntN(8)
	r.byZnode = random.IntN(2) == 0
	copies := 2 + random.IntN(2)
	for range 1 + random.IntN(5) {
		r.from = append(r.from, pickReplicas(random, brokers, copies))
		r.to = append(r.to, pickReplicas(random, brokers, copies))
		r.again = append(r.again, pickReplicas(random, brokers, copies))
	}
	return r
}

// pickOperation chooses an operation by its weight. Only where there are brokers of both kinds, directories fail: elsewhere
// other tests have them fail.
func pickOperation(random *rand.Rand, mixed bool) int {
	var bag []int
	for i, o := range raceOperations {
		if mixed || !o.mixed {
			bag = append(bag, slices.Repeat([]int{i}, o.weight)...)
		}
	}
	return bag[random.IntN(len(bag))]
}

func pickReplicas(random *rand.Rand, brokers, n int) (ids []int32) {
	for _, i := range random.Perm(brokers)[:n] {
		ids = append(ids, int32(i+1))
	}
	return ids
}
