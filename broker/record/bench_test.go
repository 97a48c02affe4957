package record

import (
	"fmt"
	"testing"
)

// TestValidateDoesNotAllocate protects the produce path: neither plain batches nor, with decoders from
// their pools, compressed ones cost an allocation.
func TestValidateDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose buffers under the race detector")
	}
	for _, codec := range allCodecs {
		for _, timestamps := range []TimestampType{CreateTime, LogAppendTime} {
			t.Run(fmt.Sprintf("%v/%v", codec, timestamps), func(t *testing.T) {
				p := unlimited()
				p.TimestampType = timestamps
				source := build(t, 2, BuilderOptions{Codec: codec}, some(100, 1000)...)
				data := make([]byte, len(source))
				got := testing.AllocsPerRun(200, func() {
					copy(data, source)
					v, err := p.Validate(data, Client, 5000)
					if err != nil {
						t.Fatal(err)
					}
					v.Assign(1234, 5)
				})
				if got > 0 {
					t.Errorf("%v allocations", got)
				}
			})
		}
	}
}

func TestCheckReplicatedDoesNotAllocate(t *testing.T) {
	data := build(t, 2, BuilderOptions{}, some(10, 100)...)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := CheckReplicated(data); err != nil {
			t.Fatal(err)
		}
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkValidate(b *testing.B) {
	shapes := []struct {
		name        string
		count, size int
	}{{"1x1KiB", 1, 1 << 10}, {"16KiB", 16, 1000}, {"64KiB", 64, 1000}, {"1MB", 1000, 1000}, {"64KiB-100B", 600, 85}}
	for _, codec := range allCodecs {
		for _, shape := range shapes {
			b.Run(fmt.Sprintf("%v/%s", codec, shape.name), func(b *testing.B) {
				p := unlimited()
				records := some(shape.count, shape.size)
				data := build(b, 2, BuilderOptions{Codec: codec}, records...)
				raw := len(build(b, 2, BuilderOptions{}, records...))
				b.SetBytes(int64(raw))
				b.ReportAllocs()
				for b.Loop() {
					v, err := p.Validate(data, Client, 5000)
					if err != nil {
						b.Fatal(err)
					}
					v.Assign(0, 5)
				}
				b.ReportMetric(float64(raw)/float64(len(data)), "ratio")
			})
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	for _, codec := range allCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			data := Batch(build(b, 2, BuilderOptions{Codec: codec}, some(64, 1000)...))
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range data.Records() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, codec := range allCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			records := some(64, 1000)
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			for b.Loop() {
				build(b, 2, BuilderOptions{Codec: codec}, records...)
			}
		})
	}
}
