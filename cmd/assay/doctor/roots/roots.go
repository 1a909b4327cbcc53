// Package roots judges trust roots: whether what relies on them is verified now, and until when.
package roots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/rego/cip"
)

// soon is how long before its end trust material is worth a word. Sigstore's timestamp
// metadata is renewed every few days; what came along in an object nobody renews but people.
const soon = 14 * 24 * time.Hour

// Reliance says which roots policies rely on.
type Reliance struct {
	// Default says that one of them relies on the default root.
	Default bool
	// Named are the TrustRoots that they name, and for each a policy that does.
	Named map[string]string
	// Unread are policies of which nobody knows, each with why.
	Unread []error
}

// RelianceOf reads policies of every kind. What Rego asks for it says when it runs: a RegoPolicy
// that mentions signatures is taken to rely on the default root.
func RelianceOf(policies []unstructured.Unstructured, namespace string) Reliance {
	out := Reliance{Named: map[string]string{}}
	for _, object := range policies {
		data, err := without(object)
		if err != nil {
			out.Unread = append(out.Unread, fmt.Errorf("%s: %w", nameOf(object), err))
			continue
		}
		if object.GetKind() == "RegoPolicy" {
			out.Default = out.Default || bytes.Contains(data, []byte("cosign"))
			continue
		}
		read, err := cip.Settings{Namespace: namespace, EmptyAuthorities: true}.Parse(data)
		if err == nil && len(read.Policies) != 1 {
			err = fmt.Errorf("got %d policies, want one", len(read.Policies))
		}
		if err != nil {
			out.Unread = append(out.Unread, fmt.Errorf("%s: %w", nameOf(object), err))
			continue
		}
		for _, authority := range read.Policies[0].Spec.Authorities {
			for _, root := range sigstore.TrustRootRefs(authority) {
				if root == "" {
					out.Default = true
				} else if out.Named[root] == "" {
					out.Named[root] = nameOf(object)
				}
			}
		}
	}
	return out
}

// nameOf names an object for people.
func nameOf(object unstructured.Unstructured) string {
	if object.GetNamespace() != "" {
		return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
	}
	return object.GetKind() + " " + object.GetName()
}

// Absent are the TrustRoots that policies name and that the cluster does not have. elsewhere, if
// it is not nil, says where else there may be some.
func Absent(named map[string]string, all []unstructured.Unstructured, elsewhere error) (out []finding.Finding) {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		object := "TrustRoot " + name
		switch there := slices.ContainsFunc(all, func(o unstructured.Unstructured) bool { return o.GetName() == name }); {
		case there:
		case elsewhere != nil:
			out = append(out, finding.Because(object, "give assay lint the files", fmt.Errorf("%s names it, the cluster has none of that name, and %w", named[name], elsewhere)))
		default:
			out = append(out, finding.Failed(object, "kubectl apply it, or correct trustRootRef", "got none of that name, and %s names it: what relies on it is denied", named[name]))
		}
	}
	return out
}

// Repository reads a TUF repository as if nobody had read it before, and writes nothing.
func Repository(ctx context.Context, object string, options tuf.Options, now time.Time) finding.Finding {
	options.Uncached, options.Now = true, func() time.Time { return now }
	repository, err := tuf.New(options)
	if err != nil {
		return finding.Failed(object, "kubectl edit trustroots", "%v", err)
	}
	if err := repository.Refresh(ctx); err != nil {
		return judgeUnread(object, err)
	}
	if root, _ := repository.Root(); root != nil {
		if f, ended := judgeEnds(object, root, now); ended {
			return f
		}
	}
	_, expires := repository.Age()
	return judgeExpiry(object, "the repository is read, and its metadata", expires, now)
}

// stale is when a repository is worth a word that replicas refresh every hour.
const stale = 24 * time.Hour

// Age says when a replica last refreshed a repository, by its cache: what serves is as old.
func Age(object string, options tuf.Options, now time.Time) finding.Finding {
	const fix = "see trust in /readyz?verbose of the replica and its log: can it reach the mirror?"
	read, err := tuf.CachedAt(options)
	switch age := now.Sub(read).Round(time.Minute); {
	case err != nil:
		return finding.NotChecked(object, err)
	case read.IsZero():
		return finding.Because(object, fix, fmt.Errorf("its cache %s does not say when it was refreshed", options.Cache))
	case age > options.MaxStale:
		return finding.Failed(object, fix, "it was last refreshed %s ago, want %s at most: what relies on it is denied", age, options.MaxStale)
	case age > stale:
		return finding.Warned(object, fix, "it was last refreshed %s ago: after %s what relies on it is denied", age, options.MaxStale)
	default:
		return finding.OK(object, "it was last refreshed %s ago", age)
	}
}

// judgeUnread says why a repository is not read: what is wrong with it is wrong everywhere,
// and the way there may be another one from the replicas.
func judgeUnread(object string, err error) finding.Finding {
	var way *url.Error
	if errors.As(err, &way) {
		return finding.Because(object, "run it in a Pod of the installation (kubectl exec deploy/assay -- assay doctor), or see trust in /readyz?verbose of a replica",
			fmt.Errorf("it is not reached from here: %w", err))
	}
	return finding.Failed(object, "renew the repository, or the root.json of the TrustRoot; until then what was read before serves, for --trust-max-stale", "%v", err)
}

func judgeExpiry(object, what string, end, now time.Time) finding.Finding {
	const fix = "renew it: what relies on it is denied when it has expired"
	at := end.UTC().Format(time.RFC3339)
	switch {
	case now.After(end):
		return finding.Failed(object, fix, "%s expired %s", what, at)
	case end.Sub(now) < time.Hour:
		return finding.Warned(object, fix, "%s expires %s", what, at)
	}
	return finding.OK(object, "%s expires %s", what, at)
}

// judgeEnds says whether the last certificate authority of a root has ended.
func judgeEnds(object string, root *trust.Root, now time.Time) (f finding.Finding, ended bool) {
	last := time.Time{}
	for _, authority := range root.Authorities() {
		end := trust.End(authority)
		if end.IsZero() || end.After(now) {
			return f, false
		}
		if end.After(last) {
			last = end
		}
	}
	if last.IsZero() {
		return f, false // it has none
	}
	return finding.Failed(object, "the root needs the authority that signs now", "the last of its certificate authorities ended %s: what is signed since is denied",
		last.UTC().Format(time.RFC3339)), true
}

// Of looks at one TrustRoot.
func Of(ctx context.Context, object unstructured.Unstructured, now time.Time) finding.Finding {
	name := "TrustRoot " + object.GetName()
	data, err := without(object)
	if err != nil {
		return finding.NotChecked(name, err)
	}
	read, err := cip.Settings{}.Parse(data)
	if err != nil || len(read.TrustRoots) != 1 {
		return finding.Failed(name, "kubectl edit trustroots "+object.GetName(), "it cannot be read: %v", err)
	}
	spec := read.TrustRoots[0].Spec
	if spec.Remote != nil {
		return Repository(ctx, name, tuf.Options{
			Mirror: string(spec.Remote.Mirror), Root: spec.Remote.Root, Targets: spec.Remote.Targets, Target: spec.Remote.TrustedRootTarget,
		}, now)
	}
	return judgeRoot(name, spec, now)
}

// judgeRoot judges a TrustRoot that is all there.
func judgeRoot(name string, spec cip.TrustRootSpec, now time.Time) finding.Finding {
	switch {
	case spec.Repository != nil:
		archive, err := trust.OpenArchive(*spec.Repository, now)
		if err != nil {
			return finding.Failed(name, "renew spec.repository: nobody fetches a newer one", "%v", err)
		}
		if root, _ := archive.Serving(now); root != nil {
			if f, ended := judgeEnds(name, root, now); ended {
				return f
			}
		}
		if end := archive.Expires(); end.Sub(now) < soon {
			return finding.Warned(name, "renew spec.repository: nobody fetches a newer one", "its metadata expires %s", end.UTC().Format(time.RFC3339))
		}
		return judgeExpiry(name, "its metadata", archive.Expires(), now)
	case spec.SigstoreKeys != nil:
		if _, err := trust.FromKeys(spec.SigstoreKeys); err != nil {
			return finding.Failed(name, "kubectl edit trustroots", "%v", err)
		}
		return judgeAuthorities(name, *spec.SigstoreKeys, now)
	}
	return finding.Failed(name, "kubectl edit trustroots", "got none of spec.remote, spec.repository and spec.sigstoreKeys")
}

// judgeAuthorities looks at the ends of certificate authorities. One that has ended still
// verifies what it signed before; nothing new can be signed when the last one has.
func judgeAuthorities(name string, keys cip.SigstoreKeys, now time.Time) finding.Finding {
	for _, of := range []struct {
		what, fix   string
		authorities []cip.CertificateAuthority
	}{
		{"certificateAuthorities", "add the authority that signs now", keys.CertificateAuthorities},
		{"timestampAuthorities", "add the authority that stamps now", keys.TimestampAuthorities},
	} {
		if len(of.authorities) == 0 {
			continue
		}
		last := time.Time{}
		for _, authority := range of.authorities {
			end, err := endOf(authority)
			if err != nil {
				return finding.Failed(name, "kubectl edit trustroots", "%s: %v", of.what, err)
			}
			if end.After(last) {
				last = end
			}
		}
		at := last.UTC().Format(time.RFC3339)
		switch {
		case now.After(last):
			return finding.Failed(name, of.fix, "sigstoreKeys.%s: the last of %d ended %s: what is signed since is denied", of.what, len(of.authorities), at)
		case last.Sub(now) < soon:
			return finding.Warned(name, of.fix, "sigstoreKeys.%s: the last of %d ends %s", of.what, len(of.authorities), at)
		}
	}
	return finding.OK(name, "its authorities are valid: %d of certificates, %d of timestamps", len(keys.CertificateAuthorities), len(keys.TimestampAuthorities))
}

// endOf is when an authority ends: with the first of its certificates, or before.
func endOf(of cip.CertificateAuthority) (end time.Time, err error) {
	chain, err := trust.ParseCertificates(of.CertChain, trust.MostAlong)
	if err != nil {
		return end, err
	}
	until := func(at time.Time) {
		if end.IsZero() || at.Before(end) {
			end = at
		}
	}
	for _, certificate := range chain {
		until(certificate.NotAfter)
	}
	if of.ValidFor != nil && of.ValidFor.End != nil {
		until(*of.ValidFor.End)
	}
	return end, nil
}

// without is an object as it was written, in JSON: without what others say of it.
func without(object unstructured.Unstructured) ([]byte, error) {
	copied := object.DeepCopy()
	unstructured.RemoveNestedField(copied.Object, "status")
	unstructured.RemoveNestedField(copied.Object, "metadata", "managedFields")
	return copied.MarshalJSON()
}
