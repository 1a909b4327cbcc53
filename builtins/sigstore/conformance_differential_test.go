package sigstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	cosignbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci/static"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
)

// question is an authority in our words and in cosign's.
type question struct {
	name  string
	check *Check
	opts  cosign.CheckOpts
}

// TestConformanceDifferential asks cosign's own functions, layer by layer, what
// it asks our check, over all real legacy evidence, roots and keys. There are no
// intended differences: where we are stricter (TestStricterThanCosign), nothing
// that people have signed shows it.
func TestConformanceDifferential(t *testing.T) {
	data := conformanceData(t)
	digests := imageDigests(t, data)
	questions := append(keylessQuestions(t, data), keyQuestions(t, data)...)
	same, accepted := 0, 0
	for _, l := range allLayouts(t, filepath.Join(data, "images")) {
		digest, ok := digests[filepath.Base(l.name)]
		if !ok {
			continue
		}
		for _, attestation := range []bool{false, true} {
			layers := l.signatures
			if attestation {
				layers = l.attestations
			}
			for i, layer := range layers {
				for _, q := range questions {
					_, refusal := q.check.guarded(layer, digest, FormatLegacy, attestation)
					theirs, panicked := askCosign(t, layer, digest, attestation, q.opts)
					switch {
					case panicked != nil && refusal != nil, (refusal == nil) == (theirs == nil):
						same++
						if refusal == nil {
							accepted++
						}
					default:
						t.Errorf("%s, layer %d, %s: got %v, cosign says %v (panic: %v)", l.name, i, q.name, refusal, theirs, panicked)
					}
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("nothing was accepted")
	}
	t.Logf("%d verdicts as cosign's, %d of them accepted", same, accepted)
}

func imageDigests(t *testing.T, data string) map[string]v1.Hash {
	t.Helper()
	var cases []imageCase
	readInto(t, &cases, data, "images", "expected.json")
	out := map[string]v1.Hash{}
	for _, c := range cases {
		hash, err := v1.NewHash(c.Digest)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(c.Image)] = hash
	}
	return out
}

func keylessQuestions(t *testing.T, data string) []question {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "trust", "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no trusted roots", err)
	}
	var out []question
	now := time.Now() // cosign knows no other
	for _, file := range files {
		parsed, err := trust.Parse(readFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		anybody := cip.Authority{Keyless: &cip.KeylessRef{Identities: []cip.Identity{{IssuerRegExp: ".*", SubjectRegExp: ".*"}}}}
		google := cip.Authority{Keyless: &cip.KeylessRef{Identities: []cip.Identity{
			{Issuer: "https://accounts.google.com", SubjectRegExp: "^cosign@"}, {IssuerRegExp: "github", SubjectRegExp: "refs/tags/v[01]"},
		}}}
		for name, q := range map[string]question{
			"keyless":             ask(t, anybody, parsed, now, cosign.CheckOpts{}),
			"keyless, some":       ask(t, google, parsed, now, cosign.CheckOpts{}),
			"keyless without SCT": ask(t, withoutSCT(anybody), parsed, now, cosign.CheckOpts{IgnoreSCT: true}),
			"keyless without log": ask(t, withTrustRoot(anybody), parsed, now, cosign.CheckOpts{IgnoreTlog: true}),
		} {
			q.name = name + " " + filepath.Base(file)
			out = append(out, q)
		}
	}
	return out
}

func ask(t *testing.T, a cip.Authority, trusted *trust.Root, now time.Time, opts cosign.CheckOpts) question {
	t.Helper()
	check, refusal := NewCheck(a, trust.Roots{Default: trusted, Named: map[string]*trust.Root{"world": trusted}}, Options{Now: now})
	if refusal != nil {
		t.Fatal(refusal)
	}
	opts.TrustedMaterial, opts.Identities, opts.SigVerifier, opts.Offline = trusted.Material(), check.identities, check.key, true
	return question{check: check, opts: opts}
}

func keyQuestions(t *testing.T, data string) []question {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "trust", "*", "*.pub"))
	if err != nil || len(files) == 0 {
		t.Fatal("no keys", err)
	}
	parsed, err := trust.Parse(readFile(t, data, "trust/public-good/trusted_root.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []question
	for _, file := range files {
		key := cip.Authority{Key: &cip.KeyRef{Data: string(readFile(t, file))}}
		with := ask(t, withLog(key), parsed, time.Now(), cosign.CheckOpts{})
		without := ask(t, key, parsed, time.Now(), cosign.CheckOpts{IgnoreTlog: true})
		with.name, without.name = "key with log "+filepath.Base(file), "key "+filepath.Base(file)
		out = append(out, with, without)
	}
	return out
}

// askCosign makes of the layer what cosign makes of it, and catches its panics.
func askCosign(t *testing.T, layer Layer, digest v1.Hash, attestation bool, opts cosign.CheckOpts) (err error, panicked any) { //nolint:staticcheck // a panic is no error
	t.Helper()
	defer func() {
		if panicked = recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	annotations := maps.Clone(layer.Annotations)
	var options []static.Option
	if text, ok := annotations[annotationBundle]; ok {
		entry := &cosignbundle.RekorBundle{}
		if err := json.Unmarshal([]byte(text), entry); err != nil {
			return err, nil
		}
		options = append(options, static.WithBundle(entry))
	}
	if text, ok := annotations[annotationCertificate]; ok {
		options = append(options, static.WithCertChain([]byte(text), []byte(annotations["dev.sigstore.cosign/chain"])))
	}
	options = slices.Clip(options)
	if attestation {
		opts.ClaimVerifier = cosign.IntotoSubjectClaimVerifier
		signed, err := static.NewAttestation(layer.Content, options...)
		if err != nil {
			return err, nil
		}
		_, err = cosign.VerifyBlobAttestation(context.Background(), signed, digest, &opts)
		return err, nil
	}
	opts.ClaimVerifier = cosign.SimpleClaimVerifier
	signed, err := static.NewSignature(layer.Content, annotations[annotationSignature], options...)
	if err != nil {
		return err, nil
	}
	_, err = cosign.VerifyImageSignature(context.Background(), signed, digest, &opts)
	return err, nil
}
