// Package images asks registries for images as assay would in a decision about a workload:
// through the same guard, with the workload's own credentials. Why one is not to be had is
// told apart, for each cause is mended elsewhere.
package images

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/registries"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/doctor/clock"
	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/cmd/assay/tenants"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/pull"
)

// patience is what one question to a registry may take.
const patience = 10 * time.Second

// workload is whose images are asked for, with whose credentials.
type workload struct {
	object string
	about  tenant.Workload
	images []string
}

// Options say what is asked for, and how.
type Options struct {
	// Namespace and Pod name a Pod; without Pod, Image is asked for as a Pod of the default
	// ServiceAccount of Namespace would, or, without a Namespace, as nobody's.
	Namespace, Pod, Image string
	// Registries is the file about single registries, "" for none, and Private whether
	// registries on private addresses are dialled.
	Registries string
	Private    bool
	// Pull says whose Secrets are read, and Behind are the credentials of the installation.
	Pull   pull.Options
	Behind oci.Credentials
	// Clouds are the registries that the installation asks with tokens of its cloud, which are
	// not had here.
	Clouds []string
	// Known says that Private, Clouds and Pull are those of the installation.
	Known bool
}

// look is one look at registries.
type look struct {
	api     cluster.Reader
	options Options
}

// Look asks for the images.
func Look(ctx context.Context, api cluster.Reader, options Options) []finding.Finding {
	l := look{api, options}
	asker, err := l.asker()
	if err != nil {
		return []finding.Finding{finding.Failed("--registries", "correct the file", "%v", err)}
	}
	w, found := l.workload(ctx)
	if len(found) > 0 {
		return found
	}
	credentials, found := l.credentials(ctx, w)
	if len(found) > 0 && found[0].Status != finding.Warning {
		return found
	}
	found = append(found, asker.all(ctx, credentials, w.images, options.Known)...)
	for _, host := range hostsOf(w.images) {
		found = append(found, asker.clock(ctx, host)...)
	}
	return found
}

// workload reads the Pod, or makes one up for an image.
func (l look) workload(ctx context.Context) (workload, []finding.Finding) {
	namespace := l.options.Namespace
	if l.options.Pod == "" {
		w := workload{object: "ServiceAccount " + namespace + "/default", images: []string{l.options.Image}}
		w.about = tenant.Workload{Namespace: namespace, ServiceAccount: "default"}
		return w, nil
	}
	object := "Pod " + namespace + "/" + l.options.Pod
	pod, there, err := cluster.Get[shape.Pod](ctx, l.api, kube.Pods(), namespace, l.options.Pod)
	switch {
	case err != nil:
		return workload{}, []finding.Finding{finding.NotChecked(object, err)}
	case !there:
		return workload{}, []finding.Finding{finding.Failed(object, "kubectl get pods -n "+namespace, "got none of that name")}
	}
	return workload{object: object, about: tenantOf(pod), images: imagesOf(pod)}, nil
}

// tenantOf is on whose behalf the registries of a Pod are asked.
func tenantOf(pod shape.Pod) tenant.Workload {
	out := tenant.Workload{Namespace: pod.Namespace, ServiceAccount: pod.Spec.ServiceAccountName, Path: "spec"}
	if out.ServiceAccount == "" {
		out.ServiceAccount = "default"
	}
	for _, secret := range pod.Spec.ImagePullSecrets {
		out.PullSecrets = append(out.PullSecrets, secret.Name)
	}
	return out
}

// imagesOf are the images that run in a Pod, each once.
func imagesOf(pod shape.Pod) (out []string) {
	add := func(image string) {
		if image != "" && !slices.Contains(out, image) {
			out = append(out, image)
		}
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers, pod.Spec.EphemeralContainers) {
		add(c.Image)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Image != nil {
			add(volume.Image.Reference)
		}
	}
	return out
}

// credentials are those of a workload. What it names and is not there is worth a word: assay
// and the kubelet do without it.
func (l look) credentials(ctx context.Context, w workload) (oci.Credentials, []finding.Finding) {
	puller, err := pull.New(l.api.Client, l.options.Pull)
	if err != nil {
		return oci.Credentials{}, []finding.Finding{finding.Failed(w.object, "correct the flags of the Deployment", "%v", err)}
	}
	asker := tenant.Asker{Workload: w.about, Behind: l.options.Behind}
	if w.about.Namespace == "" {
		return asker.Behind, nil
	}
	found, err := tenants.New(puller).Find(ctx, asker)
	if err != nil {
		return oci.Credentials{}, []finding.Finding{finding.NotChecked(w.object, fmt.Errorf("its credentials: %w", err))}
	}
	var out []finding.Finding
	if l.options.Pull.Mode == pull.Pods {
		out = l.absent(ctx, w)
	}
	return found, out
}

// absent are the Secrets that a workload or its ServiceAccount names and that are not there.
func (l look) absent(ctx context.Context, w workload) (out []finding.Finding) {
	names := slices.Clone(w.about.PullSecrets)
	account, _, err := cluster.Get[shape.ServiceAccount](ctx, l.api, kube.ServiceAccounts(), w.about.Namespace, w.about.ServiceAccount)
	if err != nil {
		return []finding.Finding{finding.NotChecked(w.object, err)}
	}
	for _, secret := range account.ImagePullSecrets {
		names = append(names, secret.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if _, there, err := cluster.Get[shape.Secret](ctx, l.api, kube.Secrets(), w.about.Namespace, name); err == nil && !there {
			out = append(out, finding.Warned(w.object, fmt.Sprintf("kubectl create secret docker-registry %s -n %s, or take the name out", name, w.about.Namespace),
				"imagePullSecrets: got %s, and there is no Secret of that name", name))
		}
	}
	return out
}

// asker asks registries.
type asker struct {
	client  *oci.Client
	network *registries.Network
	config  *registries.Config
	private bool
	clouds  []string
}

// asker makes the client that assay has.
func (l look) asker() (asker, error) {
	out := asker{private: l.options.Private, clouds: l.options.Clouds}
	options := []oci.Option{oci.WithTimeout(patience)}
	if out.private {
		options = append(options, oci.WithPrivateRegistries())
	}
	if l.options.Registries != "" {
		var err error
		if out.config, err = registries.Read(l.options.Registries); err != nil {
			return out, err
		}
		options = append(options, oci.WithRegistries(out.config))
	}
	out.network = out.config.Network(edge.Pool{Guard: edge.Guard{Private: out.private}, Concurrency: 1}, time.Now)
	var err error
	out.client, err = oci.New(options...)
	return out, err
}

// atOnce is how many images are asked for at the same time: a Pod may have hundreds, and a
// registry that does not answer takes its time for each.
const atOnce = 16

// all asks for images, and answers in their order.
func (a asker) all(ctx context.Context, credentials oci.Credentials, images []string, known bool) []finding.Finding {
	out := make([]finding.Finding, len(images))
	var work errgroup.Group
	work.SetLimit(atOnce)
	for i, image := range images {
		work.Go(func() error {
			out[i] = a.image(ctx, credentials, image, known)
			return nil
		})
	}
	_ = work.Wait() // what went wrong is a finding
	return out
}

// image asks for one.
func (a asker) image(ctx context.Context, credentials oci.Credentials, image string, known bool) finding.Finding {
	object := "image " + image
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reference, err := oci.Parse(image)
	if err != nil {
		return judgeRegistry(object, "", known, err)
	}
	if slices.Contains(a.clouds, reference.Registry) {
		return finding.Because(object, "create the Pod with --dry-run=server in a namespace that is covered: a denial says why, and the log of assay serve what the cloud said",
			fmt.Errorf("--cloud-credentials lists %s: assay asks it with a token of its cloud where the workload has no credentials, and that token is not had here", reference.Registry))
	}
	digest := reference.Digest
	if digest == "" {
		digest, err = a.client.Resolve(ctx, credentials, image)
	} else {
		_, err = a.client.Manifest(ctx, credentials, image)
	}
	if err != nil {
		return judgeRegistry(object, reference.Registry, known, err)
	}
	who := "anonymously"
	if credentials.Keychain != nil {
		who = "with the credentials of the workload"
	}
	return finding.OK(object, "%s, asked %s", digest, who)
}

// clock compares a registry's clock with ours: certificates and timestamps are minted by others
// who have its time. Whoever does not say the time is no finding.
func (a asker) clock(ctx context.Context, host string) []finding.Finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := http.Client{Transport: a.network.Over(host), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	schemes := []string{"https"}
	if a.config.Plain(host) || a.private && edge.Near(host) {
		schemes = append(schemes, "http")
	}
	for _, scheme := range schemes {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/v2/", nil)
		if err != nil {
			return nil
		}
		asked := time.Now()
		response, err := client.Do(request)
		if err != nil {
			continue // why is said of the image
		}
		answered := time.Now()
		_ = response.Body.Close()
		if date, ok := dateOf(response); ok {
			return []finding.Finding{clock.Judge("registry "+host, "this machine", "set the clock that is wrong by NTP", clock.Skew(asked, answered, date))}
		}
	}
	return nil
}

// judgeRegistry tells apart why an image is not to be had.
func judgeRegistry(object, host string, known bool, err error) finding.Finding {
	refused := edge.AsError("image", err)
	fix := ""
	switch {
	case errors.Is(err, edge.Status(http.StatusForbidden)):
		fix = "the registry knows the credentials, or wants none, and refuses: give them the right to pull this repository"
	case refused.Code == oci.Unauthorized:
		fix = fmt.Sprintf("kubectl create secret docker-registry NAME --docker-server=%s …, and name it in imagePullSecrets of the Pod or of its ServiceAccount", host)
	case refused.Code == oci.RateLimited:
		fix = "give the workload credentials, or the registry a mirror (--registries)"
	case refused.Code == oci.NotFound:
		fix = "check the name: the registry has no such tag or digest"
	case untrusted(err), refused.Code == oci.ForbiddenHost && strings.Contains(refused.Message, "plain http"),
		errors.Is(err, edge.Status(http.StatusBadRequest)): // the last two are of a registry near, which was asked without TLS then
		fix = "TLS: its certificate is not believed. ca in the file of --registries, or webhook.registryCaBundle of the chart; plainHTTP for a registry without TLS"
	case refused.Code == oci.ForbiddenHost:
		fix = "--allow-private-registries for registries inside; plainHTTP in the file of --registries for one without TLS"
	case as[*net.DNSError](err):
		fix = "DNS: the name of the registry is not found from here; is it spelt right, and do the Pods of assay ask the same DNS?"
	case refused.Code == oci.Timeout:
		fix = "does a NetworkPolicy or a firewall drop what assay sends there? Proxies are not used"
	case refused.Code == oci.Unreachable:
		fix = "is the registry up, and is it reached from the Pods of assay? Proxies are not used"
	}
	f := finding.Failed(object, fix, "%s (%s)", refused.Message, refused.Code)
	if !known && (refused.Code == oci.ForbiddenHost || refused.Code == oci.Unauthorized) {
		f.Status = finding.Unknown // nobody knows what the Deployment says
		if refused.Code == oci.Unauthorized {
			f.Fix += "; nothing, where --cloud-credentials of the Deployment lists the registry"
		}
	}
	return f
}

func as[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}

// untrusted says whether a connection was not made for what TLS says.
func untrusted(err error) bool {
	return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) || as[x509.HostnameError](err) ||
		as[x509.CertificateInvalidError](err) || as[tls.RecordHeaderError](err) || strings.Contains(err.Error(), "gave HTTP response to HTTPS client")
}

// hostsOf are the registries of images, each once.
func hostsOf(images []string) (out []string) {
	for _, image := range images {
		if reference, err := oci.Parse(image); err == nil && !slices.Contains(out, reference.Registry) {
			out = append(out, reference.Registry)
		}
	}
	return out
}

// dateOf is the clock of a server, in its answer.
func dateOf(response *http.Response) (time.Time, bool) {
	date, err := http.ParseTime(response.Header.Get("Date"))
	return date, err == nil
}
