package doctor

import (
	"context"
	"fmt"
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
	for _, of := range []schema.GroupVersionResource{kube.ClusterImagePolicies(), kube.ImagePolicies()} {
		found, unread := cluster.List[unstructured.Unstructured](ctx, d.api, of, "", metav1.ListOptions{})
		if policies = append(policies, found...); unread != nil && !cluster.IsNone(unread) {
			err = unread
		}
	}
	switch {
	case err != nil:
		out = append(out, finding.NotChecked("default trust root", err))
	case roots.Needs(policies, d.api.Client.Namespace):
		out = append(out, d.defaultRoot(ctx)...)
	default:
		out = append(out, finding.OK("default trust root", "no policy relies on it"))
	}
	all, err := cluster.List[unstructured.Unstructured](ctx, d.api, kube.TrustRoots(), "", metav1.ListOptions{})
	if err != nil && !cluster.IsNone(err) {
		return append(out, finding.NotChecked("TrustRoots", err))
	}
	for _, object := range all {
		out = append(out, roots.Of(ctx, object, d.now))
	}
	return out
}

// defaultRoot reads the repository that replicas read.
func (d *doctor) defaultRoot(ctx context.Context) (out []finding.Finding) {
	const object = "default trust root"
	for _, flag := range []string{"trusted-root", "tuf-root"} {
		if file := d.setup.flag(flag, ""); file != "" {
			return []finding.Finding{finding.NotChecked(object, fmt.Errorf("--%s %s is a file of the Pods", flag, file))}
		}
	}
	options := tuf.Options{Mirror: d.setup.flag("tuf-mirror", ""), Cache: d.options.cache}
	if options.Cache != "" {
		options.MaxStale = d.setup.duration("trust-max-stale", 7*24*time.Hour)
		out = append(out, roots.Age(object+" of the replica", options, d.now))
	}
	return append(out, roots.Repository(ctx, object, options, d.now))
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
		Private: of.private || d.setup.on("allow-private-registries"),
		Pull:    pull.Options{Mode: pull.Mode(d.setup.flag("pull-secrets", string(pull.Pods))), Secret: d.setup.flag("pull-secret", "")},
	}
	if of.kubeconfig == "" {
		options.Behind = oci.WebhookCredentials() // this Pod has what the installation has
	}
	return images.Look(ctx, d.api, options)
}
