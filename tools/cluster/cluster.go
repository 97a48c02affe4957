// Package cluster is gregorctl cluster, Kafka's kafka-cluster: it prints the id of a cluster. Taking brokers
// out of a cluster, its other subcommand, is for clusters with KRaft: those on ZooKeeper do not need it.
package cluster

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/argparse"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

const script = "kafka-cluster"

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:         "cluster",
		Script:       script,
		Short:        "Show the id of a cluster",
		Synopsis:     "cluster-id|unregister --bootstrap-server HOST:PORT [option]...",
		Examples:     "NAME cluster-id --bootstrap-server localhost:9092",
		Arguments:    arguments(),
		RunArguments: run,
	}
}

func arguments() *argparse.Parser {
	connection := []argparse.Option{
		{Flags: []string{"--bootstrap-server", "-b"}, OneOf: true, Doc: "Brokers to ask first, as host:port,host:port."},
		{Flags: []string{"--bootstrap-controller", "-C"}, OneOf: true, Doc: "Controllers to ask first, in a cluster with KRaft."},
		{Flags: []string{"--config", "-c"}, Doc: "File with properties of the admin client."},
	}
	id := argparse.Option{Flags: []string{"--id", "-i"}, Integer: true, Required: true, Doc: "The ID of the broker to unregister."}
	return &argparse.Parser{Program: script, Doc: "The Kafka cluster tool.", Commands: []*argparse.Parser{
		{Program: script, Name: "cluster-id", Doc: "Get information about the ID of a cluster.", Options: connection},
		{Program: script, Name: "unregister", Doc: "Unregister a broker.", Options: append(connection[:3:3], id)},
	}}
}

func run(ctx context.Context, env *tool.Env, given *argparse.Set) error {
	file, _ := given.Value("config")
	properties, err := clientconf.LoadFile(file)
	if err != nil {
		return err
	}
	if servers, ok := given.Value("bootstrap-server"); ok {
		properties["bootstrap.servers"] = servers
		delete(properties, "bootstrap.controllers")
	} else {
		properties["bootstrap.controllers"], _ = given.Value("bootstrap-controller")
		delete(properties, "bootstrap.servers")
	}
	admin, err := client.OpenAdmin(env, properties)
	if err != nil {
		return err
	}
	defer admin.Close()
	if given.Command == "cluster-id" {
		return printID(ctx, env, admin)
	}
	return unregister(ctx, env, admin, given.Int32("id"))
}

func printID(ctx context.Context, env *tool.Env, admin *client.Admin) error {
	id, _, err := admin.Cluster(ctx)
	switch {
	case err != nil:
		return throwable.InFuture(err)
	case id == "":
		fmt.Fprintln(env.Stdout, "No cluster ID found. The Kafka version is probably too old.")
	default:
		fmt.Fprintln(env.Stdout, "Cluster ID: "+id)
	}
	return nil
}

func unregister(ctx context.Context, env *tool.Env, admin *client.Admin, id int32) error {
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = id
	answer, err := admin.Call(ctx, "unregisterBroker", req)
	if err == nil {
		resp := answer.(*kmsg.UnregisterBrokerResponse)
		err = throwable.FromCode(resp.ErrorCode, resp.ErrorMessage)
	}
	switch {
	case throwable.Code(err) == kerr.UnsupportedVersion.Code:
		fmt.Fprintln(env.Stdout, "The target cluster does not support the broker unregistration API.")
	case err != nil:
		return throwable.InFuture(err)
	default:
		fmt.Fprintf(env.Stdout, "Broker %d is no longer registered.\n", id)
	}
	return nil
}
