package replica

import "testing"

// TestTruncation: where a follower cuts its log (KIP-279).
func TestTruncation(t *testing.T) {
	tests := []struct {
		name        string
		leaderEpoch int32 // the leader's last epoch up to the follower's
		leaderEnd   int64
		epoch       int32 // the follower's last epoch up to that one
		end, logEnd int64
		want        int64
		ok          bool
	}{
		{name: "same epoch, the follower has more of it", leaderEpoch: 5, leaderEnd: 10, epoch: 5, end: 15, logEnd: 15, want: 10, ok: true},
		{name: "same epoch, the leader has more of it", leaderEpoch: 5, leaderEnd: 20, epoch: 5, end: 15, logEnd: 18, want: 15, ok: true},
		{name: "the follower skipped the epoch", leaderEpoch: 5, leaderEnd: 20, epoch: 3, end: 8, logEnd: 18, want: 8, ok: true},
		{name: "the follower only has later epochs", leaderEpoch: 2, leaderEnd: 4, epoch: -1, end: -1, logEnd: 18, want: 4, ok: true},
		{name: "never beyond the log", leaderEpoch: 2, leaderEnd: 40, epoch: -1, end: -1, logEnd: 18, want: 18, ok: true},
		{name: "the leader knows nothing", leaderEpoch: -1, leaderEnd: -1, epoch: -1, end: -1, logEnd: 18},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := truncation(tt.leaderEpoch, tt.leaderEnd, tt.epoch, tt.end, tt.logEnd)
			if got != tt.want || ok != tt.ok {
				t.Errorf("truncated to %d, %v; want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
