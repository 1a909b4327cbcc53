package builtins

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/builtins/verdicts"
	"github.com/assay-dev/assay/rego/cip"
)

// origin is where evidence about an image comes from, and who asks for it there.
type origin struct {
	image       oci.Reference
	place       oci.Place
	credentials oci.Credentials
}

// verified fetches the evidence of an image and verifies it for an authority:
// its attestations, or else its signatures. seen is what was looked at.
func (f *Facts) verified(ctx context.Context, s *Session, o origin, a cip.Authority, attestations bool) (found []sigstore.Signature, seen evidence, _ *declare.Problem) {
	_, end := observe.Begin(ctx, f.options.Observer, observe.Work{Stage: observe.Trust})
	check, refusal := sigstore.NewCheck(a, s.roots, sigstore.Options{
		AnchoredIdentities: f.options.AnchoredIdentities, Now: s.now,
	})
	end(string(refusal.Reason()))
	if refusal != nil {
		return nil, seen, problemOf(refusal)
	}
	seen, err := f.evidence(ctx, o, a.SignatureFormat, attestations)
	if err != nil {
		return nil, seen, problemOf(err)
	}
	about := verdicts.Question{
		Credentials: o.credentials.ID, Image: o.image.Name, Place: o.place, Trust: check.TrustHash(), Evidence: seen.digests,
		Attestations: attestations, Anchored: f.options.AnchoredIdentities, Authority: a,
	}
	if known, ok := f.verdicts.Get(about, s.now); ok {
		seen.misses = known.Misses
		return known.Found, seen, nil
	}
	_, end = observe.Begin(ctx, f.options.Observer, observe.Work{Stage: observe.Verify})
	// Verification waits for nothing, so it has no context.
	if attestations {
		found, seen.misses, refusal = check.AttestationsAndMisses(o.image.Digest, seen.lists) //nolint:contextcheck // see above
	} else {
		found, refusal = check.Signatures(o.image.Digest, seen.lists) //nolint:contextcheck // see above
	}
	end(string(refusal.Reason()))
	if refusal != nil {
		p := problemOf(refusal)
		seen.misses = refusal.Misses
		if p.Code == declare.NoSignatures {
			p, seen.hint = f.whereabouts(ctx, p, o, a.SignatureFormat, attestations, seen)
		}
		return nil, seen, p
	}
	f.verdicts.Put(about, verdicts.Verdict{Found: found, Misses: seen.misses})
	return found, seen, nil
}

// evidence is what was fetched about an image.
type evidence struct {
	lists   []sigstore.Evidence
	digests []string // of each list, or the code of why there is none
	where   []string
	// What an explanation wants besides.
	looked []looked
	misses []miss.Miss
	hint   string
}

// evidence fetches what the format names: the legacy tag, the referrers, or both.
func (f *Facts) evidence(ctx context.Context, o origin, format cip.SignatureFormat, attestations bool) (evidence, error) {
	legacy := f.registry.Signatures
	if attestations {
		legacy = f.registry.Attestations
	}
	type source struct {
		format string
		list   func(context.Context, oci.Credentials, string, oci.Place) (oci.List, error)
	}
	var sources []source
	switch format {
	case "", cip.FormatLegacy:
		sources = []source{{sigstore.FormatLegacy, legacy}}
	case cip.FormatBundle:
		sources = []source{{sigstore.FormatBundle, f.registry.Bundles}}
	case cip.FormatAny:
		sources = []source{{sigstore.FormatLegacy, legacy}, {sigstore.FormatBundle, f.registry.Bundles}}
	default:
		return evidence{}, &sigstore.Refusal{Code: sigstore.Unsupported, Message: fmt.Sprintf("signatureFormat: got %q", format)}
	}
	out := evidence{lists: make([]sigstore.Evidence, len(sources)), digests: make([]string, len(sources))}
	where := make([][]string, len(sources))
	errs := make([]error, len(sources))
	var wait sync.WaitGroup
	for i, source := range sources {
		wait.Go(func() {
			// Nobody above could recover on this goroutine.
			defer func() {
				if cause := recover(); cause != nil {
					errs[i] = fmt.Errorf("evidence panicked: %.80v", cause)
				}
			}()
			var list oci.List
			list, errs[i] = source.list(ctx, o.credentials, o.image.Name, o.place)
			out.lists[i], out.digests[i], where[i] = evidenceOf(source.format, list), list.Digest, list.Where
		})
	}
	wait.Wait()
	out.where = slices.Concat(where...)
	out.looked = lookedIn(out.lists, where, errs)
	if len(sources) == 1 {
		return out, errs[0]
	}
	// Of several places one that cannot be had does not hide what another has.
	for i, err := range errs {
		if err == nil {
			continue
		}
		p := problemOf(err)
		out.lists[i] = sigstore.Evidence{Format: sources[i].format, Layers: []sigstore.Layer{{
			Missing: &sigstore.Refusal{Code: sigstore.Code(p.Code), Message: p.Message},
		}}}
		out.digests[i] = string(p.Code)
	}
	return out, nil
}

// lookedIn says where lists were found; where one was not, the message of its error does.
func lookedIn(lists []sigstore.Evidence, where [][]string, errs []error) (out []looked) {
	for i, list := range lists {
		if errs[i] == nil {
			out = append(out, looked{Format: list.Format, At: printable(where[i]), Found: len(list.Layers)})
		}
	}
	return out
}

// lacks is why some of the evidence could not be had, nil when all is here.
func (e evidence) lacks() *declare.Problem {
	for _, list := range e.lists {
		for _, layer := range list.Layers {
			if layer.Missing != nil {
				return problemOf(layer.Missing)
			}
		}
	}
	return nil
}

func evidenceOf(format string, list oci.List) sigstore.Evidence {
	out := sigstore.Evidence{Format: format}
	at := strings.Join(list.Where, " and ")
	for _, layer := range list.Layers {
		piece := sigstore.Layer{Annotations: layer.Annotations, Content: layer.Content, Digest: layer.Digest, At: at}
		if layer.Err != nil {
			piece.Missing = &sigstore.Refusal{Code: sigstore.Code(layer.Err.Code), Message: layer.Err.Message}
		}
		out.Layers = append(out.Layers, piece)
	}
	return out
}
