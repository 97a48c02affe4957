package network

import "testing"

// TestSendfileEndsWithAPage looks at the calls that send a section.
func TestSendfileEndsWithAPage(t *testing.T) {
	const page = 4096
	tests := []struct {
		name  string
		pos   int64
		n     int
		calls []int
	}{
		{"a page", 0, page, []int{page}},
		{"64 KiB of whole pages", 5 * page, 16 * page, []int{16 * page}},
		{"64 KiB within 17 pages", page + 100, 16 * page, []int{16*page - 100, 100}},
		{"up to the end of the 16th page", 100, 16*page - 100, []int{16*page - 100}},
		{"little across two pages", page - 1, 2, []int{2}},
		{"1 MiB within 257 pages", page - 1, 1 << 20, []int{15*page + 1, 1<<20 - 15*page - 1}},
		{"as much as a call may send", 0, sendfileMax + 1, []int{sendfileMax, 1}},
		{"more, from within a page", 1, 2 * sendfileMax, []int{16*page - 1, sendfileMax, sendfileMax - 16*page + 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pos, n := tt.pos, tt.n
			for i, want := range tt.calls {
				got := sendfileNow(pos, n, page)
				if got != want {
					t.Fatalf("call %d sends %d bytes from %d on, want %d", i, got, pos, want)
				}
				pos, n = pos+int64(got), n-got
			}
			if n != 0 {
				t.Errorf("%d bytes are left", n)
			}
		})
	}
}
