package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/images"
	"github.com/assay-dev/assay/cmd/assay/doctor/roots"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/pull"
)

// trust looks at the trust roots: the default one, where a policy relies on it, and TrustRoots.
func (d *doctor) trust(ctx context.Context) (out []finding.Finding) {
	var policies []unstructured.Unstructured
	var err error
	for _, of := range []schema.GroupVersionResource{kube.ClusterImagePolicies(), kube.ImagePolicies(), kube.RegoPolicies()} {
		found, unread := cluster.List[unstructured.Unstructured](ctx, d.api, of, "", metav1.ListOptions{})
		if policies = append(policies, found...); unread != nil && !cluster.IsNone(unread) {
			err = unread
		}
	}
	relied := roots.RelianceOf(policies, d.api.Client.Namespace)
	elsewhere := d.setup.files()
	unread := slices.Concat(relied.Unread, []error{err, elsewhere})
	switch unread = slices.DeleteFunc(unread, func(err error) bool { return err == nil }); {
	case relied.Default:
		out = append(out, d.defaultRoot(ctx)...)
	case len(unread) > 0:
		out = append(out, judgeUnread(unread))
	default:
		out = append(out, finding.OK(defaultRoot, "no policy relies on it"))
	}
	all, err := cluster.List[unstructured.Unstructured](ctx, d.api, kube.TrustRoots(), "", metav1.ListOptions{})
	if err != nil && !cluster.IsNone(err) {
		return append(out, finding.NotChecked("TrustRoots", err))
	}
	for _, object := range all {
		out = append(out, roots.Of(ctx, object, d.now))
	}
	return append(out, roots.Absent(relied.Named, all, elsewhere)...)
}

// defaultRoot names it.
const defaultRoot = "default trust root"

// judgeUnread says that policies may rely on the default root, of which nobody knows.
func judgeUnread(causes []error) finding.Finding {
	more := ""
	if len(causes) > 1 {
		more = fmt.Sprintf(", and %d more", len(causes)-1)
	}
	return finding.Because(defaultRoot, "see trust in /readyz?verbose of a replica", fmt.Errorf("no policy that was read relies on it, but not all were: %w%s", causes[0], more))
}

// files says why there may be policies and trust roots that are no objects of the cluster, nil
// where there are none.
func (s setup) files() error {
	if !s.known {
		return errors.New("nobody knows whether the Deployment has policies in files")
	}
	for _, flag := range []string{"policy", "trustroot"} {
		if file := s.flag(flag, ""); file != "" {
			return fmt.Errorf("--%s %s is a file of the Pods", flag, file)
		}
	}
	return nil
}

// defaultRoot reads the repository that replicas read.
func (d *doctor) defaultRoot(ctx context.Context) (out []finding.Finding) {
	for _, flag := range []string{"trusted-root", "tuf-root"} {
		if file := d.setup.flag(flag, ""); file != "" {
			return []finding.Finding{finding.NotChecked(defaultRoot, fmt.Errorf("--%s %s is a file of the Pods", flag, file))}
		}
	}
	options := tuf.Options{Mirror: d.setup.flag("tuf-mirror", ""), Cache: d.options.cache}
	if options.Cache != "" {
		options.MaxStale = d.setup.duration("trust-max-stale", 7*24*time.Hour)
		out = append(out, roots.Age(defaultRoot+" of the replica", options, d.now))
	}
	return append(out, roots.Repository(ctx, defaultRoot, options, d.now))
}

// registries asks for the images of a workload, if somebody wants to know.
func (d *doctor) registries(ctx context.Context) []finding.Finding {
	of := d.options
	if of.pod == "" && of.image == "" {
		return nil
	}
	if theirs := d.setup.flag("registries", ""); theirs != "" && of.registries == "" {
		return []finding.Finding{finding.Because("registries", "give it a copy of that file",
			fmt.Errorf("the Deployment has --registries %s, and this command has none", theirs))}
	}
	options := images.Options{
		Namespace: of.namespace, Pod: of.pod, Image: of.image, Registries: of.registries, Known: d.setup.known,
		Clouds:  d.setup.list("cloud-credentials"),
		Private: of.private || d.setup.on("allow-private-registries"),
		Pull:    pull.Options{Mode: pull.Mode(d.setup.flag("pull-secrets", string(pull.Pods))), Secret: d.setup.flag("pull-secret", "")},
	}
	if of.kubeconfig == "" {
		options.Behind = oci.WebhookCredentials() // this Pod has what the installation has
	}
	return images.Look(ctx, d.api, options)
}
