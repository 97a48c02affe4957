package server

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

func silent() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func meta(version int, broker int32, cluster string) metaDir {
	return metaDir{path: "/d", found: true, meta: checkpoint.MetaProperties{Version: version, BrokerID: broker, ClusterID: cluster}}
}

func TestConflictsOfMetaProperties(t *testing.T) {
	other := meta(0, 2, "c")
	other.path = "/e"
	tests := []struct {
		name       string
		dirs       []metaDir
		configured int32
		want       int32
		err        string // part of the error's text
	}{
		{"fresh", []metaDir{{path: "/d"}}, 1, -1, ""},
		{"returning", []metaDir{meta(0, 1, "c")}, 1, 1, ""},
		{"returning with a generated id", []metaDir{meta(0, 1001, "c"), {path: "/e"}}, -1, 1001, ""},
		{"written before the cluster had an id", []metaDir{meta(0, 1, "")}, 1, 1, ""},
		{"of KRaft", []metaDir{meta(1, 1, "c")}, 1, -1, "/d/meta.properties has version 1, of a KRaft cluster; with ZooKeeper it must be 0"},
		{"of another cluster", []metaDir{meta(0, 1, "other")}, 1, -1, "the cluster id c does not match other in /d/meta.properties: the broker is trying to join the wrong cluster"},
		{"of another broker", []metaDir{meta(0, 1, "c")}, 2, -1, "configured broker.id 2 does not match the id 1 stored in /d/meta.properties"},
		{"of two brokers", []metaDir{meta(0, 1, "c"), other}, -1, -1, "the log directories hold different broker ids: 1 and, in /e/meta.properties, 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := agree(tt.dirs, tt.configured, "c")
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("stored id %d, %v; want %d, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func load(t testing.TB, overrides ...string) *config.Config {
	t.Helper()
	cfg, _, err := config.Load("", overrides)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func stored(t testing.TB, dir string) checkpoint.MetaProperties {
	t.Helper()
	m, found, err := checkpoint.ReadMetaProperties(vfs.OS, dir)
	if err != nil || !found {
		t.Fatalf("meta.properties of %s: found %v, %v", dir, found, err)
	}
	return m
}

func TestIdentify(t *testing.T) {
	zk := connect(t)
	if err := zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, b := t.TempDir(), t.TempDir()
	first, err := identify(t.Context(), zk, load(t, "log.dirs="+a), silent())
	if err != nil || first.brokerID != 1001 || first.clusterID == "" || first.returning {
		t.Fatalf("first start: %+v, %v; want broker 1001, which is new", first, err)
	}
	if m := stored(t, a); m.BrokerID != 1001 || m.ClusterID != first.clusterID || m.Version != 0 {
		t.Errorf("stored %+v", m)
	}
	again, err := identify(t.Context(), zk, load(t, "log.dirs="+a), silent())
	if err != nil || again.brokerID != 1001 || !again.returning {
		t.Errorf("second start: %+v, %v; want broker 1001, which returns", again, err)
	}
	more, err := identify(t.Context(), zk, load(t, "log.dirs="+a+","+b), silent())
	if err != nil || more.brokerID != 1001 || more.returning || stored(t, b).BrokerID != 1001 {
		t.Errorf("with a further directory: %+v, %v; want broker 1001, of which not all is known", more, err)
	}
	c := t.TempDir()
	second, err := identify(t.Context(), zk, load(t, "log.dirs="+c), silent())
	if err != nil || second.brokerID != 1002 || second.clusterID != first.clusterID {
		t.Errorf("another broker: %+v, %v; want 1002 of the same cluster", second, err)
	}
	if _, err := identify(t.Context(), zk, load(t, "broker.id=5", "log.dirs="+a), silent()); err == nil {
		t.Error("a broker.id that the directory contradicts is accepted")
	}
}

func TestUnreadableMetaProperties(t *testing.T) {
	broken, whole := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "meta.properties"), []byte("version=many\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dirs, unusable, err := readMeta([]string{broken, whole}, silent())
	if err != nil || len(dirs) != 1 || dirs[0].path != whole || len(unusable) != 1 || unusable[broken] == nil {
		t.Errorf("%v, unusable %v, %v; want the whole directory only", dirs, unusable, err)
	}
	if _, _, err := readMeta([]string{broken}, silent()); err == nil {
		t.Error("a broker without a usable directory starts")
	}
}

func TestFinalizedFeatures(t *testing.T) {
	enabled := `{"version":2,"status":1,"features":{"group.version":{"min_version_level":1,"max_version_level":3}}}`
	if got := finalized([]byte(enabled), 7); got.Epoch != 7 || got.Levels["group.version"] != 3 {
		t.Errorf("%+v, want level 3 in epoch 7", got)
	}
	for name, data := range map[string]string{"disabled": strings.Replace(enabled, `"status":1`, `"status":0`, 1), "garbage": "{", "nothing": ""} {
		if got := finalized([]byte(data), 7); got.Epoch != -1 || len(got.Levels) != 0 {
			t.Errorf("%s: %+v, want no features", name, got)
		}
	}
}
