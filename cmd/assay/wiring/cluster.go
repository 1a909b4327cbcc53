package wiring

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/once"
)

// ReadCluster reads the files that the flags name, as [Wiring.Read] does, and with them
// the objects of a cluster.
func (w *Wiring) ReadCluster(ctx context.Context, objects watch.Objects) (*Documents, error) {
	documents, err := w.files(ctx)
	if err != nil {
		return nil, err
	}
	documents.join(objects)
	return w.complete(ctx, documents), nil
}

// join adds the objects of a cluster to those of files. Of a name that both have, no
// policy may be dropped: what either of them matches is denied. A TrustRoot of the files,
// and what their policies refer to, is what whoever runs the program gave it, and serves; one
// of a bundle is not, and gives way.
func (d *Documents) join(objects watch.Objects) {
	d.cluster = true
	for _, policy := range objects.Policies {
		i := slices.IndexFunc(d.Policies, func(of cip.Policy) bool { return of.Name == policy.Name })
		if i < 0 {
			d.Policies = append(d.Policies, policy)
			continue
		}
		d.Policies[i] = contested(d.Policies[i], policy)
	}
	for _, root := range objects.TrustRoots {
		var used bool
		d.roots, used = outrank(d, d.roots, root, "TrustRoot "+root.Name, func(of cip.TrustRoot) bool { return of.Name == root.Name })
		if !used {
			d.unused("TrustRoot", root.Name)
		}
	}
	for _, policy := range objects.RegoPolicies {
		d.objects = append(d.objects, regoObject(policy))
	}
	d.outrankWorkloads(objects.WorkloadPaths)
	d.ofFiles = len(d.workloads)
	d.workloads = append(d.workloads, objects.WorkloadPaths...)
	for _, secret := range objects.Secrets {
		if secret.Namespace != "" {
			d.sources.Owned.Secrets = append(d.sources.Owned.Secrets, secret)
			continue
		}
		if slices.ContainsFunc(d.sources.Secrets, func(of cip.Secret) bool { return of.System() && of.Name == secret.Name }) {
			d.unused("Secret", secret.Name)
			continue
		}
		d.sources.Secrets = append(d.sources.Secrets, secret)
	}
	for _, text := range objects.ConfigMaps {
		if text.Namespace != "" {
			d.sources.Owned.ConfigMaps = append(d.sources.Owned.ConfigMaps, text)
			continue
		}
		var used bool
		d.sources.ConfigMaps, used = outrank(d, d.sources.ConfigMaps, text, "ConfigMap "+text.FullName(),
			func(of cip.ConfigMap) bool { return of.System() && of.Name == text.Name })
		if !used {
			d.unused("ConfigMap", text.Name)
		}
	}
	d.sources.Place = "the system namespace of the cluster"
	d.noMatch = objects.Settings.NoMatch
	if len(objects.Settings.InsecureRegistries) > 0 {
		d.Warnings = append(d.Warnings, "insecure-registries has no effect: a registry is asked over plain HTTP where the file of --registries says so")
	}
	for _, refused := range objects.Refused {
		d.Warnings = append(d.Warnings, refused.String())
	}
	d.Warnings = append(d.Warnings, objects.Warnings...)
}

func (d *Documents) unused(kind, name string) {
	d.Warnings = append(d.Warnings, fmt.Sprintf("%s %s: the files have one of that name, and that of the cluster is not used", kind, name))
}

// contested denies what two policies of one name match.
func contested(file, object cip.Policy) cip.Policy {
	return cip.Policy{
		Name: file.Name, Namespace: file.Namespace, Version: file.Version,
		Spec: cip.Spec{
			Mode: cip.ModeEnforce, Authorities: []cip.Authority{{Name: "authority-0"}},
			Images: slices.Concat(file.Spec.Images, object.Spec.Images),
		},
		Gaps: map[string]string{"spec.authorities[0]": "there are two policies of that name, one in the files or a bundle and one in the cluster"},
	}
}

// Outcomes are what became of the policies of a set, by kind and name, for their status. Those of
// trust roots change while the set serves: see [NamedRoots.Outcomes].
func (d *Documents) Outcomes(set *rego.Set) map[string]status.Outcome {
	out := map[string]status.Outcome{}
	uncompiled := set.Uncompiled()
	for _, policy := range d.Policies {
		outcome := status.Outcome{Unresolved: maps.Clone(policy.Gaps), Uncompiled: uncompiled[policy.Name]}
		for path, cause := range d.unread[policy.Name] {
			if outcome.Uncompiled == nil {
				outcome.Uncompiled = map[string]string{}
			}
			outcome.Uncompiled[path] = cause
		}
		out[policy.String()] = outcome
	}
	for _, policy := range set.Raw() {
		for _, object := range policy.Objects() {
			if failure := policy.Failure(); failure != nil && object != "" {
				out[object] = status.Outcome{Uncompiled: map[string]string{"spec.modules": failure.Message}}
			}
		}
	}
	for _, paths := range d.workloads[d.ofFiles:] {
		problems := meeting(paths, d.workloads[d.ofFiles:])
		for _, other := range d.workloads[:d.ofFiles] { // a name that both have makes one of neither
			problems = append(problems, met(paths, other, other.String()+" of the files")...)
		}
		if len(problems) > 0 {
			out[paths.String()] = status.Outcome{Uncompiled: map[string]string{"spec.kind": strings.Join(problems, "; ")}}
		}
	}
	return out
}

// unreadCUE says which CUE of a policy cannot be read, and why, by its path. It decides nothing:
// what cannot be read fails where it is asked.
func unreadCUE(ctx context.Context, policy cip.Policy, load *once.Load) map[string]string {
	out := map[string]string{}
	check := func(path string, ref *cip.PolicyRef) {
		if ref == nil || ref.Type != "cue" || ref.Data == "" {
			return
		}
		refusal, err := once.Get(ctx, load, once.KeyOf("CUE", ref.Data), func(context.Context) (*cue.Refusal, error) {
			return cue.Check(ref.Data), nil
		})
		if err != nil {
			out[path] = err.Error()
		} else if refusal != nil {
			out[path] = refusal.Message
		}
	}
	for i, authority := range policy.Spec.Authorities {
		for j, attestation := range authority.Attestations {
			check(fmt.Sprintf("spec.authorities[%d].attestations[%d].policy", i, j), attestation.Policy)
		}
	}
	check("spec.policy", policy.Spec.Policy)
	return out
}
