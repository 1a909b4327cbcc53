package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/tenants"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/certificate"
	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/kube/lease"
	"github.com/assay-dev/assay/kube/pull"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/server/admission"
)

// clusterFlags say which cluster the policies are in, if they are in any.
type clusterFlags struct {
	on         bool
	kubeconfig string
	namespace  string
	secrets    string // whose pull secrets are read, see pull.Mode
	secret     string
	service    string   // whose certificate is kept in a Secret, see certificate.Keeper
	webhooks   []string // whose caBundle is kept with it
}

func (f *clusterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.on, "cluster", false, "serve the policies that are objects of the cluster that this Pod runs in")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "serve those of the cluster that this `file` names; says --cluster too")
	flags.StringVar(&f.namespace, "system-namespace", "", "`namespace` of settings, and of the Secrets and ConfigMaps that policies refer to (default the Pod's own, else "+kube.DefaultNamespace+")")
	flags.StringVar(&f.secrets, "pull-secrets", string(pull.Pods), "whose registry credentials are read from Secrets: pods, central or none")
	flags.StringVar(&f.secret, "pull-secret", "", "`name` of the Secret of the system namespace that --pull-secrets central reads")
	flags.StringVar(&f.service, "webhook-service", "", "keep the certificate for the Service of this `name` in the Secret "+certificate.SecretName+", instead of --tls-cert and --tls-key")
	flags.StringArrayVar(&f.webhooks, "webhook-config", nil, "`name` of webhook configurations, validating, mutating or one of each, whose caBundle is kept in step with it (repeatable)")
}

// puller reads the pull secrets of workloads.
func (f *clusterFlags) puller(client *kube.Client) (*pull.Puller, error) {
	switch mode := pull.Mode(f.secrets); {
	case mode != pull.Pods && mode != pull.Central && mode != pull.None:
		return nil, fmt.Errorf("--pull-secrets: got %q, want pods, central or none", f.secrets)
	case (mode == pull.Central) != (f.secret != ""):
		return nil, fmt.Errorf("--pull-secret: got %q, want a name with --pull-secrets central, and none without", f.secret)
	default:
		return pull.New(client, pull.Options{Mode: mode, Secret: f.secret})
	}
}

// keeper keeps the certificate of the webhook, nil where files have it.
func (f *clusterFlags) keeper(client *kube.Client, log *slog.Logger) (*certificate.Keeper, error) {
	if f.service == "" && len(f.webhooks) > 0 {
		return nil, errors.New("--webhook-config: got it without --webhook-service: whoever makes the certificate keeps caBundle")
	}
	if f.service == "" {
		return nil, nil
	}
	return certificate.New(client, certificate.Options{
		Service: f.service, Configurations: certificate.Configurations{Either: f.webhooks},
	}, log)
}

// wanted says whether policies come from a cluster.
func (f *clusterFlags) wanted() bool { return f.on || f.kubeconfig != "" }

// leaseName is the Lease of the replica that writes.
const leaseName = "assay"

// cluster is what the webhook has to do with the API server: all replicas watch it, and
// one of them writes what became of the objects.
type cluster struct {
	client  *kube.Client
	tenants *tenants.Cluster
	keeper  *certificate.Keeper // nil where files have the certificate
	watcher *watch.Watcher
	lease   *lease.Lease
	writer  *status.Writer
	denials *status.Denials
	matched matched
	judging chan struct{} // full while a policy of the cluster is judged as it is applied
	owned   turns         // of namespaces, whose policies are judged meanwhile
	places  places
}

func (f *clusterFlags) open(version string, log *slog.Logger) (*cluster, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("cluster: the name of this replica: %w", err)
	}
	client, err := kube.Connect(f.kubeconfig, f.namespace, "assay/"+version)
	if err != nil {
		return nil, err
	}
	ofWorkloads, err := kube.ConnectForWorkloads(f.kubeconfig, f.namespace, "assay/"+version)
	if err != nil {
		return nil, err
	}
	puller, err := f.puller(ofWorkloads)
	if err != nil {
		return nil, err
	}
	keeper, err := f.keeper(client, log)
	if err != nil {
		return nil, err
	}
	return &cluster{
		client: client, keeper: keeper, tenants: tenants.New(puller), watcher: watch.New(client, log), lease: lease.New(client, leaseName, name, log),
		writer: status.NewWriter(client, name, log), denials: status.NewDenials(client, name, log),
		judging: make(chan struct{}, 1),
	}, nil
}

// run does all that each replica does until ctx ends. changed is told when there are other objects.
func (c *cluster) run(ctx context.Context, changed func()) {
	var work sync.WaitGroup
	work.Go(func() { c.watcher.Run(ctx, changed) })
	work.Go(func() { c.denials.Run(ctx) })
	if c.keeper != nil {
		work.Go(func() { c.keeper.Watch(ctx) })
	}
	work.Wait()
}

// lead writes, for all replicas.
func (c *cluster) lead(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { c.writer.Run(ctx) })
	if c.keeper != nil {
		work.Go(func() { c.keeper.Run(ctx) })
	}
	work.Wait()
}

// problems are what is out of date, for people.
func (c *cluster) problems() string {
	problems := c.watcher.Problems()
	if c.keeper != nil {
		problems = append(problems, c.keeper.Problems()...)
	}
	var out []string
	for _, problem := range problems {
		out = append(out, problem.String())
	}
	return strings.Join(out, "; ")
}

// check says whether the objects were read, and what of them is out of date.
func (c *cluster) check(loaded bool) server.Check {
	out := server.Check{Name: "cluster"}
	switch text := c.problems(); {
	case !c.watcher.Synced():
		out.Err = errors.New("not read yet: " + text)
	case !loaded:
		out.Err = errors.New("read, and not loaded yet")
	default:
		out.Note = text
	}
	return out
}

// told notes what a decision matched, and lets the events of denials be made, beside the
// answer.
func (c *cluster) told(decide decide) decide {
	return func(ctx context.Context, review []byte) (rego.Decision, error) {
		decision, err := decide(ctx, review)
		if err != nil {
			return decision, err
		}
		c.matched.saw(decision)
		if !decision.Allowed {
			c.denied(review, decision.Reasons)
		}
		return decision, err
	}
}

func (c *cluster) denied(review []byte, reasons []string) {
	var of struct {
		Request struct {
			Namespace, Name string
			Kind            struct{ Kind string }
			Object          json.RawMessage
			DryRun          bool
		}
	}
	if err := json.Unmarshal(review, &of); err != nil {
		return // it was read before: whatever was denied is no workload
	}
	c.denials.Denied(status.Denial{
		Namespace: of.Request.Namespace, Kind: of.Request.Kind.Kind, Name: of.Request.Name, Object: of.Request.Object,
		Reasons: reasons, DryRun: of.Request.DryRun,
	})
}

// policies answers the webhooks of policies as they are applied, one after the other: a
// policy may have thousands of expressions, and reading those ends by no deadline. Reviews of
// workloads go on beside it.
func (r *reloader) policies(verdict func(hook.Judge, context.Context, hook.Request) hook.Verdict) server.DeciderFunc {
	c := r.cluster
	return func(ctx context.Context, review []byte) (server.Decision, error) {
		request, err := hook.Read(review)
		if err != nil {
			return server.Decision{Verdict: admission.Verdict{Reasons: []string{err.Error()}}}, nil
		}
		done, problem := c.turn(ctx, request)
		if problem != "" {
			return server.Decision{Verdict: admission.Verdict{Reasons: []string{problem}}}, nil
		}
		defer done()
		allowed, _ := r.wiring.Flags.SourcePrefixes() // checked
		compiler := wiring.Compiler{Serving: r.engine.Set(), Sources: allowed}
		judge := hook.Judge{
			Settings: cip.Settings{Namespace: c.client.Namespace, EmptyAuthorities: c.watcher.Objects().Settings.EmptyAuthorities},
			Compiler: compiler, Own: compiler, Roots: compiler, Finder: hook.Live{Client: c.client},
		}
		said := verdict(judge, ctx, request)
		out := admission.Verdict{Allowed: said.Allowed, Undecoded: said.Undecoded, Reasons: said.Reasons, Warnings: said.Warnings}
		for _, operation := range said.Patch {
			out.Patch = append(out.Patch, admission.PatchOperation{Op: operation.Op, Path: operation.Path, Value: operation.Value})
		}
		return server.Decision{Verdict: out}, nil
	}
}

// validatePolicies admits or refuses policies, and defaultPolicies completes them.
func (r *reloader) validatePolicies() server.DeciderFunc {
	return r.policies(func(j hook.Judge, ctx context.Context, r hook.Request) hook.Verdict { return j.Validate(ctx, r) })
}

func (r *reloader) defaultPolicies() server.DeciderFunc {
	return r.policies(func(j hook.Judge, _ context.Context, r hook.Request) hook.Verdict {
		said := j.Default(r)
		said.Allowed = true // whether it may be applied is the other webhook's to say
		return said
	})
}
