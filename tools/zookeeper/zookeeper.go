// Package zookeeper shows what a cluster keeps in ZooKeeper: the tree of znodes, with their contents
// decoded and checked.
package zookeeper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gregor-mq/gregor/zkutil"
)

// TreeOptions say what Tree shows.
type TreeOptions struct {
	Depth int  // how many levels below the path; negative for all
	Stat  bool // versions, owner and times too
}

// Command returns "gregorctl zookeeper". It only reads.
func Command() *cobra.Command {
	var opts TreeOptions
	connect, timeout := "", 10*time.Second
	cmd := &cobra.Command{
		Use:   "zookeeper [path]",
		Short: "Show znodes and their contents",
		Long: "Show the tree of znodes below a path (default: all), one a line with its contents.\n" +
			"Contents that a broker would refuse are marked with what is wrong.",
		Example: "  gregorctl zookeeper --zookeeper localhost:2181/kafka /brokers/topics/orders",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/"
			if len(args) == 1 {
				path = "/" + strings.Trim(args[0], "/")
			}
			client, err := zkutil.Connect(cmd.Context(), zkutil.Options{
				Connect: connect, KeepChroot: true, ConnectionTimeout: timeout,
			})
			if err != nil {
				return err
			}
			defer client.Close()
			return Tree(cmd.Context(), cmd.OutOrStdout(), client, path, opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&connect, "zookeeper", "localhost:2181", "servers and chroot as in zookeeper.connect: host:port,host:port/chroot")
	flags.IntVar(&opts.Depth, "depth", -1, "levels below the path to show; -1 for all")
	flags.BoolVar(&opts.Stat, "stat", false, "show versions, owner and time of the last change too")
	flags.DurationVar(&timeout, "timeout", timeout, "how long to wait for a connection")
	return cmd
}

// node is one znode as it was read.
type node struct {
	path string
	data []byte
	stat zkutil.Stat
}

// Tree writes the znodes below path, path included, to w: one a line, children behind their parent and in
// order. The error wraps zkutil.ErrNoNode if there is no such path; what vanishes while the tree is read
// is left out.
func Tree(ctx context.Context, w io.Writer, c *zkutil.Client, path string, opts TreeOptions) error {
	nodes, err := read(ctx, c, path, opts.Depth)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for i := range nodes {
		fmt.Fprintln(out, line(&nodes[i], opts.Stat))
	}
	return out.Flush()
}

// read returns path and what is below it, level by level from ZooKeeper, then in the order of a tree.
func read(ctx context.Context, c *zkutil.Client, path string, depth int) ([]node, error) {
	var nodes []node
	level := []string{path}
	for ; len(level) > 0; depth-- {
		ops := make([]zkutil.Op, 0, 2*len(level))
		for _, p := range level {
			ops = append(ops, zkutil.GetOp(p), zkutil.ChildrenOp(p))
		}
		results := c.Do(ctx, ops...)
		var below []string
		for i, p := range level {
			got, children := results[2*i], results[2*i+1]
			switch err := errors.Join(got.Err, children.Err); {
			case errors.Is(err, zkutil.ErrNoNode) && p != path:
				continue
			case err != nil:
				return nil, err
			}
			nodes = append(nodes, node{p, got.Data, got.Stat})
			for _, child := range children.Children {
				below = append(below, zkutil.Join(p, child))
			}
		}
		if depth == 0 {
			break
		}
		level = below
	}
	slices.SortFunc(nodes, func(a, b node) int {
		return slices.Compare(strings.Split(a.path, "/"), strings.Split(b.path, "/"))
	})
	return nodes, nil
}

func line(n *node, stat bool) string {
	text := n.path
	if stat {
		text += fmt.Sprintf(" (version %d, %s, czxid %d, changed %s)", n.stat.Version, owner(n.stat), n.stat.Czxid,
			time.UnixMilli(n.stat.Mtime).UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	contents, err := zkutil.Describe(n.path, n.data)
	if contents != "" {
		text += " " + contents
	}
	if err != nil {
		text += " # " + err.Error()
	}
	return text
}

func owner(s zkutil.Stat) string {
	if s.EphemeralOwner == 0 {
		return "persistent"
	}
	return fmt.Sprintf("ephemeral of session 0x%x", uint64(s.EphemeralOwner))
}
