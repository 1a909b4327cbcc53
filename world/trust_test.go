package world_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
)

// trustRoot reads the world's TrustRoot as the engine does.
func trustRoot(t *testing.T, w *world.World, name string) cip.TrustRoot {
	t.Helper()
	documents, err := cip.Parse(w.TrustRoot(name))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(documents.TrustRoots), 1; got != want {
		t.Fatalf("got %d trust roots, want %d", got, want)
	}
	return documents.TrustRoots[0]
}

// checkOf accepts the identity by the trust root, and demands a log entry that
// the trust root knows as well.
func checkOf(t *testing.T, resource cip.TrustRoot, identity cip.Identity) *sigstore.Check {
	t.Helper()
	root, err := trust.FromKeys(resource.Spec.SigstoreKeys)
	if err != nil {
		t.Fatal(err)
	}
	check, refusal := sigstore.NewCheck(cip.Authority{
		Name: "a", SignatureFormat: cip.FormatAny,
		Keyless: &cip.KeylessRef{TrustRootRef: resource.Name, Identities: []cip.Identity{identity}},
		CTLog:   &cip.TLog{TrustRootRef: resource.Name},
	}, trust.Roots{Named: map[string]*trust.Root{resource.Name: root}}, sigstore.Options{Now: time.Now()})
	if refusal != nil {
		t.Fatal(refusal)
	}
	return check
}

// signatures counts what the check accepts of the image's evidence.
func signatures(t *testing.T, w *world.World, check *sigstore.Check) (accepted int, refusal *sigstore.Refusal) {
	t.Helper()
	evidence := []sigstore.Evidence{{Format: sigstore.FormatLegacy}, {Format: sigstore.FormatBundle}}
	for _, s := range legacy(t, w, "app", "sig") {
		payload, err := s.Payload()
		if err != nil {
			t.Fatal(err)
		}
		annotations, err := s.Annotations()
		if err != nil {
			t.Fatal(err)
		}
		evidence[0].Layers = append(evidence[0].Layers, sigstore.Layer{Annotations: annotations, Content: payload})
	}
	for _, data := range bundles(t, w, "app") {
		evidence[1].Layers = append(evidence[1].Layers, sigstore.Layer{Content: data})
	}
	_, digest, _ := w.Image("app")
	found, refusal := check.Signatures(digest, evidence)
	return len(found), refusal
}

func TestTrustRootIsTheSameTrust(t *testing.T) {
	t.Parallel()
	w := open(t, withImage("signatures", `{signer: release}, {signer: release, timestamp: true}, {signer: release, format: bundle},
		{signer: release, format: bundle, content: message}`))
	resource := trustRoot(t, w, "world")
	if got, want := resource.Name, "world"; got != want {
		t.Errorf("got name %s, want %s", got, want)
	}
	got, refusal := signatures(t, w, checkOf(t, resource, cip.Identity{Issuer: issuer, Subject: subject}))
	if want := 4; got != want {
		t.Errorf("got %d signatures, %v, want %d", got, refusal, want)
	}
	other := open(t, signers)
	_, refusal = signatures(t, w, checkOf(t, trustRoot(t, other, "world"), cip.Identity{Issuer: issuer, Subject: subject}))
	if refusal == nil {
		t.Error("got acceptance under another world's trust root, want a refusal")
	}
}

func TestTrustRootHasTheWindowsOfTheTrustedRoot(t *testing.T) {
	t.Parallel()
	w := open(t, signers)
	keys, trusted := trustRoot(t, w, "world").Spec.SigstoreKeys, trustedMaterial(t, w)
	starts := func(logs []cip.TransparencyLog) map[string]time.Time {
		all := map[string]time.Time{}
		for _, l := range logs {
			all[string(l.BaseURL)] = *l.ValidFor.Start
		}
		return all
	}
	want := map[string]time.Time{}
	for _, l := range trusted.RekorLogs() {
		want[l.BaseURL] = l.ValidityPeriodStart
	}
	if diff := cmp.Diff(want, starts(keys.TLogs)); diff != "" || len(want) != 2 {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	since := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	for kind, got := range map[string]*cip.Validity{
		"certificate authority": keys.CertificateAuthorities[0].ValidFor,
		"certificate log":       keys.CTLogs[0].ValidFor,
		"timestamp authority":   keys.TimestampAuthorities[0].ValidFor,
	} {
		if !got.Start.Equal(since) || got.End != nil {
			t.Errorf("%s: got %v to %v, want from %s", kind, got.Start, got.End, since)
		}
	}
}

func TestUserNameIsASubject(t *testing.T) {
	t.Parallel()
	const user = "jane!example.com"
	w := open(t, "signers: {jane: {issuer: https://example.com, subject: "+user+"}}\n"+
		"images: {app: {signatures: [{signer: jane}, {signer: jane, format: bundle}]}}")
	resource := trustRoot(t, w, "world")
	got, refusal := signatures(t, w, checkOf(t, resource, cip.Identity{Issuer: "https://example.com", Subject: user}))
	if want := 2; got != want {
		t.Errorf("got %d signatures, %v, want %d", got, refusal, want)
	}
	_, refusal = signatures(t, w, checkOf(t, resource, cip.Identity{Issuer: "https://example.com", Subject: "jane"}))
	if refusal == nil || refusal.Code != sigstore.IdentityMismatch {
		t.Errorf("got %v, want %s", refusal, sigstore.IdentityMismatch)
	}
}
