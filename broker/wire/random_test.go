package wire

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets every exported field of a kmsg structure to something random; pointers and slices may
// stay nil.
func fill(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
				fill(rng, v.Field(i))
			}
		}
	case reflect.Pointer:
		if rng.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem())
		}
	case reflect.Slice:
		n := rng.IntN(4)
		if n == 0 && rng.IntN(2) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(rng, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%0*d", 1+rng.IntN(200), rng.IntN(10)))
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(rng.Uint64N(256))
	case reflect.Float64:
		v.SetFloat(rng.Float64())
	default:
		v.SetInt(int64(rng.Uint64() >> rng.IntN(64)))
	}
}

// randomRequest returns a request of key in version with random content.
func randomRequest(rng *rand.Rand, key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	fill(rng, reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	return req
}

// eachVersion runs test for every version of every API.
func eachVersion(t *testing.T, test func(t *testing.T, api API, version int16)) {
	for _, api := range APIs() {
		for v := api.Min; v <= api.Max; v++ {
			t.Run(fmt.Sprintf("%s/%d", api.Name, v), func(t *testing.T) { test(t, api, v) })
		}
	}
}
