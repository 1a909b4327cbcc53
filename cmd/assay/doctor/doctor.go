// Package doctor is assay doctor: what is wrong with an installation, and what to do about it.
//
// It reads a cluster, compares what it finds with what is installed ([deploy]) and with what
// the objects promise, and prints a [finding.Finding] for each. Files come in pairs of ideas: what is
// read, by a few lines that talk to the API server, and what is made of it, by functions of
// values. What cannot be read is a finding as well: "not checked" is no pass.
//
// It changes nothing. Two requests are dry runs that ask the API server to ask the webhook:
// nothing is stored of them.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/doctor/clock"
	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/kube"
)

// options are the flags.
type options struct {
	kubeconfig string
	system     string
	webhooks   []string
	format     string
	namespace  string
	pod        string
	image      string
	registries string
	private    bool
	cache      string
}

// Command is assay doctor of a program of that version.
func Command(version string) *cobra.Command {
	var of options
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong with an installation, and say what to do",
		Long: "Doctor looks at an installation in a cluster: clocks, trust roots, webhook configurations, certificates,\n" +
			"definitions, policies, the leader, namespaces left out, rights, and registries with the credentials of a workload.\n" +
			"It changes nothing. What it cannot look at it says, with the reason.\n\n" +
			"Exit codes: 0 all is well or only warned of, 1 something failed or was not checked, 2 there is no cluster to look at.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := of.check(); err != nil {
				return err
			}
			findings, err := examine(cmd.Context(), of, "assay-doctor/"+version)
			if err != nil {
				return err
			}
			if err := finding.Write(cmd.OutOrStdout(), of.format, findings); err != nil {
				return err
			}
			return finding.Worst(findings)
		},
	}
	f := cmd.Flags()
	f.StringVar(&of.kubeconfig, "kubeconfig", "", "`file` that names the cluster (default the one that this Pod runs in)")
	f.StringVar(&of.system, "system-namespace", "", "`namespace` of the installation (default the Pod's own, else "+kube.DefaultNamespace+")")
	f.StringArrayVar(&of.webhooks, "webhook-config", nil, "`name` of a webhook configuration of the installation (repeatable; default what its Deployment says, else the manifests' names)")
	f.StringVar(&of.format, "format", "text", "form of the findings: text or json")
	f.StringVarP(&of.namespace, "namespace", "n", "", "`namespace` of the workload whose credentials registries are asked with")
	f.StringVar(&of.pod, "pod", "", "`name` of a Pod of that namespace whose images are asked for")
	f.StringVar(&of.image, "image", "", "image `reference` to ask for, with the credentials of a Pod of the namespace's default ServiceAccount")
	f.StringVar(&of.registries, "registries", "", "`file` about single registries, as assay serve has it")
	f.BoolVar(&of.private, "allow-private-registries", false, "dial registries on loopback and private addresses (default what the Deployment says)")
	f.StringVar(&of.cache, "tuf-cache", "", "`directory` of TUF metadata of a replica, to say how old that is: run in its Pod")
	return cmd
}

func (o options) check() error {
	switch {
	case o.format != "text" && o.format != "json":
		return fmt.Errorf("--format: got %q, want text or json", o.format)
	case o.pod != "" && o.image != "":
		return fmt.Errorf("--image: got it with --pod %s, want one of them", o.pod)
	case o.pod != "" && o.namespace == "":
		return fmt.Errorf("--pod: got %s without --namespace, want both", o.pod)
	case o.namespace != "" && o.pod == "" && o.image == "":
		return fmt.Errorf("--namespace: got %s alone, want --pod or --image with it", o.namespace)
	}
	return nil
}

// errUnread says that something was not looked at, since what it hangs on is not known.
var errUnread = errors.New("no webhook is known that asks /validate")

// doctor is one look at one installation.
type doctor struct {
	api      cluster.Reader
	options  options
	server   kube.Server
	setup    setup
	expected expected
	hooks    []hook // those that were found
	now      time.Time
}

// most bounds a look: each request has its own bound, and a mirror of trust roots a minute.
const most = 5 * time.Minute

// examine looks at everything. An error says that there is nothing to look at.
func examine(ctx context.Context, of options, userAgent string) ([]finding.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	client, err := kube.Connect(of.kubeconfig, of.system, userAgent)
	if err != nil {
		return nil, err
	}
	server, err := kube.Ask(ctx, of.kubeconfig, userAgent)
	if err != nil {
		return nil, err
	}
	d := &doctor{api: cluster.Reader{Client: client}, options: of, server: server}
	d.now = time.Now().Add(clock.Skew(server.Asked, server.Answered, server.Date))
	if d.expected, err = expect(client.Namespace); err != nil {
		return nil, err
	}
	var out []finding.Finding
	for _, check := range []struct {
		name string
		of   func(context.Context) []finding.Finding
	}{
		{"deployment", d.deployment}, // what it says is what the others compare with
		{"clock", d.clocks},
		{"definitions", d.definitions},
		{"webhooks", d.webhooks},
		{"certificate", d.certificates},
		{"service", d.service},
		{"leader", d.leader},
		{"rights", d.rights},
		{"policies", d.policies},
		{"trust", d.trust},
		{"namespaces", d.namespaces},
		{"labels", d.labels},
		{"registry", d.registries},
	} {
		for _, f := range check.of(ctx) {
			f.Check = check.name
			out = append(out, f)
		}
	}
	return out, nil
}
