package conformance

import (
	"math/rand/v2"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// arbitrary makes requests of any API that a broker can parse and no client would send: what a field holds is mostly
// something that its name suggests and the cluster knows, and sometimes anything that its type allows. The same seed
// gives the same requests.
type arbitrary struct {
	rng *rand.Rand
	// known is what the fields that name something are taken from.
	known known
	// odd is how many fields one is odd of.
	odd int
	// many bounds how long a list becomes when it is to be long.
	many int
}

// known are names and numbers that mean something to the cluster.
type known struct {
	topics     []string   // those that may be created, deleted and changed
	groups     []string   // of consumers
	brokers    []int32    // ids
	ids        [][16]byte // of topics
	dirs       []string
	epochs     []int64 // of brokers
	controller []int32 // epochs of the controller
}

// request returns a request of an API in a version.
func (a *arbitrary) request(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	v := reflect.ValueOf(req).Elem()
	a.fill(v)
	req.SetVersion(version)
	return req
}

// rarely is true once in n times.
func (a *arbitrary) rarely(n int) bool { return a.rng.IntN(n) == 0 }

// oneOf returns one of list.
func oneOf[T any](a *arbitrary, list ...T) T { return list[a.rng.IntN(len(list))] }

// fill fills the fields of a struct.
func (a *arbitrary) fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Name != "Version" && f.Name != "UnknownTags" {
			a.field(v.Type().Name(), f.Name, v.Field(i))
		}
	}
}

// field gives a field of a struct a value.
func (a *arbitrary) field(of, name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		a.fill(v)
	case reflect.Bool:
		v.SetBool(a.rarely(2))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(a.number(of, name, v.Type().Bits()))
	case reflect.String:
		v.SetString(a.text(of, name))
	case reflect.Pointer:
		if a.rarely(6) {
			v.SetZero()
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		a.field(of, name, v.Elem())
	case reflect.Array:
		v.Set(reflect.ValueOf(a.id()).Convert(v.Type()))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(a.bytes(name))
			return
		}
		a.list(of, name, v)
	default:
		panic("a field of a kind that no request has: " + of + "." + name)
	}
}

// list fills a list; now and then something stands in it twice.
func (a *arbitrary) list(of, name string, v reflect.Value) {
	n := oneOf(a, 1, 1, 1, 2, 2, 3)
	switch {
	case a.rarely(3 * a.odd):
		v.SetZero()
		return
	case a.rarely(3 * a.odd):
		n = 0
	case a.rarely(20 * a.odd):
		n = 1 + a.rng.IntN(a.many)
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		e := v.Index(i)
		if i > 0 && a.rarely(2*a.odd) {
			e.Set(v.Index(a.rng.IntN(i)))
			continue
		}
		a.field(of, name, e)
	}
}
