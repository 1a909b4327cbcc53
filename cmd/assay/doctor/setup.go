package doctor

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/certificate"
)

// selector finds the Deployment: the label that the manifests give it.
const selector = "app.kubernetes.io/name=assay"

// restore is how an installation is put back to what it was.
const restore = "helm upgrade, or kubectl apply -f deploy/manifests"

// setup is how assay is started there, as its Deployment says. Zero is that nobody knows.
type setup struct {
	known     bool // flags are those that it is started with
	flags     map[string][]string
	account   string // its ServiceAccount
	secret    string // that holds the certificate, "" where it is in other files
	ready     int32
	wanted    int32
	namespace string
	name      string
}

// setupOf reads a Deployment.
func setupOf(of shape.Deployment) setup {
	out := setup{flags: map[string][]string{}, account: "default", wanted: 1, ready: of.Status.ReadyReplicas, namespace: of.Namespace, name: of.Name}
	if of.Spec.Replicas != nil {
		out.wanted = *of.Spec.Replicas
	}
	pod := of.Spec.Template.Spec
	if pod.ServiceAccountName != "" {
		out.account = pod.ServiceAccountName
	}
	for _, container := range pod.Containers {
		args, serves := servedBy(container)
		if !serves || out.known {
			continue
		}
		out.known, out.flags = true, flagsOf(args)
		if out.secret = certificate.SecretName; !out.keeps() {
			out.secret = secretAt(pod, container, path.Dir(out.flag("tls-cert", "")))
		}
	}
	return out
}

// servedBy are the arguments of assay serve, if that is what a container runs: the image's own
// command is assay. What a shell makes of a text, or the kubelet of a variable, is not known.
func servedBy(of shape.Container) (args []string, serves bool) {
	args = of.Args
	if len(of.Command) > 0 {
		if path.Base(of.Command[0]) != "assay" {
			return nil, false
		}
		args = slices.Concat(of.Command[1:], of.Args)
	}
	if len(args) == 0 || args[0] != "serve" || slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "$(") }) {
		return nil, false
	}
	return args[1:], true
}

// flagsOf are flags by name, as they are written: --name=value, --name value and --name.
func flagsOf(args []string) map[string][]string {
	out := map[string][]string{}
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !strings.HasPrefix(args[i], "-") {
			continue
		}
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			value = args[i]
		}
		out[name] = append(out[name], value)
	}
	return out
}

// flag is the last value of a flag, or what it is without it.
func (s setup) flag(name, preset string) string {
	if values := s.flags[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return preset
}

// list are the values of a flag that takes several, with commas or one at a time.
func (s setup) list(name string) (out []string) {
	for _, value := range s.flags[name] {
		out = append(out, strings.Split(value, ",")...)
	}
	return out
}

// on says whether a flag that is on or off is on.
func (s setup) on(name string) bool {
	value, given := s.flag(name, "false"), len(s.flags[name]) > 0
	return given && (value == "" || value == "true")
}

// keeps says whether assay keeps its certificate itself. It does unless somebody says otherwise.
func (s setup) keeps() bool { return !s.known || s.flag("tls-cert", "") == "" }

// service is the name of the Service that the webhooks are behind.
func (s setup) service() string { return s.flag("webhook-service", "webhook") }

// duration is a flag that is one.
func (s setup) duration(name string, preset time.Duration) time.Duration {
	given, err := time.ParseDuration(s.flag(name, ""))
	if err != nil {
		return preset
	}
	return given
}

// timeout is the deadline of a decision.
func (s setup) timeout() time.Duration { return s.duration("timeout", 10*time.Second) }

// secretAt is the Secret that a container has at a path.
func secretAt(pod shape.PodSpec, container shape.Container, at string) string {
	for _, mount := range container.VolumeMounts {
		for _, volume := range pod.Volumes {
			if volume.Name == mount.Name && path.Clean(mount.MountPath) == at && volume.Secret != nil {
				return volume.Secret.SecretName
			}
		}
	}
	return ""
}

// deployment finds how assay is started, and whether it is.
func (d *doctor) deployment(ctx context.Context) []finding.Finding {
	object := "Deployment of namespace " + d.api.Client.Namespace
	all, err := cluster.List[shape.Deployment](ctx, d.api, kube.Deployments(), d.api.Client.Namespace, metav1.ListOptions{LabelSelector: selector})
	switch {
	case err != nil:
		return []finding.Finding{finding.NotChecked(object, fmt.Errorf("%w; its flags are taken to be those of the manifests", err))}
	case len(all) == 0:
		return []finding.Finding{finding.Failed(object, restore, "got none with the label %s, want one", selector)}
	case len(all) > 1:
		return []finding.Finding{finding.Failed(object, "delete the one that is not yours: two installations write over each other", "got %d with the label %s, want one", len(all), selector)}
	}
	d.setup = setupOf(all[0])
	return judgeDeployment(d.setup)
}

func judgeDeployment(s setup) []finding.Finding {
	out := []finding.Finding{judgeReplicas(s)}
	if !s.known {
		out = append(out, finding.Because("Deployment "+s.namespace+"/"+s.name, "have one container run assay serve with its flags as they are: no shell, no variables",
			errors.New("got no container that runs assay serve; its flags are taken to be those of the manifests")))
	}
	return out
}

func judgeReplicas(s setup) finding.Finding {
	object := "Deployment " + s.namespace + "/" + s.name
	look := fmt.Sprintf("kubectl -n %s get pods -l %s, then describe and logs of one that is not ready; /readyz?verbose of it says what it lacks", s.namespace, selector)
	switch {
	case s.ready == 0:
		return finding.Failed(object, look, "got 0 of %d replicas ready: nobody answers", s.wanted)
	case s.ready < s.wanted:
		return finding.Warned(object, look, "got %d of %d replicas ready", s.ready, s.wanted)
	case s.wanted == 1:
		return finding.Warned(object, "webhook.replicaCount: 2", "got one replica: nothing is admitted while it starts anew")
	}
	return finding.OK(object, "%d of %d replicas are ready", s.ready, s.wanted)
}
