package sigstore_test

import (
	"crypto"
	"crypto/sha256"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/assay-dev/assay/world/sigstore"
)

// clock is the instant of these tests.
func clock() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

func newSigstore(t *testing.T) *sigstore.Sigstore {
	t.Helper()
	s, err := sigstore.New(clock())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// log is both generations of Rekor.
type log interface {
	Enter(e *sigstore.Evidence, kind sigstore.Kind, at time.Time) error
}

// sealed is the bundle of the payload, signed, logged and timestamped.
func sealed(t *testing.T, s *sigstore.Sigstore, signer *sigstore.Signer, l log, payloadType string, payload []byte) []byte {
	t.Helper()
	evidence, err := signer.Sign(payloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Enter(evidence, sigstore.DSSE, clock()); err != nil {
		t.Fatal(err)
	}
	if evidence.Timestamp, err = s.TSA.Stamp(evidence.Signature, clock()); err != nil {
		t.Fatal(err)
	}
	data, err := evidence.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// verified asks sigstore-go whether the bundle is about the artifact.
func verified(t *testing.T, s *sigstore.Sigstore, data, artifact []byte, key *sigstore.Signer, identity sigstore.Identity) error {
	t.Helper()
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return err
	}
	trusted, err := s.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	material, err := root.NewTrustedRootFromJSON(trusted)
	if err != nil {
		t.Fatal(err)
	}
	all := root.TrustedMaterialCollection{material}
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1)}
	policy := verify.WithKey()
	if key != nil {
		public, err := cryptoutils.UnmarshalPEMToPublicKey(key.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := signature.LoadVerifier(public, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
			return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
		}))
	} else {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
		who, err := verify.NewShortCertificateIdentity(identity.Issuer, "", identity.Subject, "")
		if err != nil {
			t.Fatal(err)
		}
		policy = verify.WithCertificateIdentity(who)
	}
	verifier, err := verify.NewVerifier(all, options...)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(artifact)
	_, err = verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest[:]), policy))
	return err
}

func TestBundleVerifies(t *testing.T) {
	t.Parallel()
	const statement = `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","predicate":{},"subject":[{"name":"a",` +
		`"digest":{"sha256":"c7c5c1d70c5dec4416ab6158afd0b223ef40c29b1dc1f97ed9428b94d4cadb1c"}}]}`
	artifact := []byte("artifact")
	for name, subject := range map[string]string{
		"an address": "jane@example.com", "a URI": "https://example.com/jane?a=b", "a user name": "jane!example.com", "a bare key": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSigstore(t)
			identity := sigstore.Identity{Issuer: "https://example.com", Subject: subject}
			signer, key := (*sigstore.Signer)(nil), (*sigstore.Signer)(nil)
			var err error
			if subject == "" {
				signer, err = sigstore.NewSigner()
				key = signer
			} else {
				signer, err = s.CA.Issue(identity, clock(), s.CTLog)
			}
			if err != nil {
				t.Fatal(err)
			}
			for generation, l := range map[string]log{"rekor": s.Rekor, "rekor2": s.Rekor2} {
				data := sealed(t, s, signer, l, "", artifact)
				if err := verified(t, s, data, artifact, key, identity); err != nil {
					t.Errorf("message in %s: %v", generation, err)
				}
				if err := verified(t, s, data, []byte("another"), key, identity); err == nil {
					t.Errorf("message in %s: got acceptance of another artifact", generation)
				}
				data = sealed(t, s, signer, l, "application/vnd.in-toto+json", []byte(statement))
				if err := verified(t, s, data, artifact, key, identity); err != nil {
					t.Errorf("envelope in %s: %v", generation, err)
				}
				if err := verified(t, newSigstore(t), data, artifact, key, identity); err == nil {
					t.Errorf("envelope in %s: got acceptance by another Sigstore", generation)
				}
			}
		})
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	s := newSigstore(t)
	for name, test := range map[string]struct {
		identity sigstore.Identity
		want     string
	}{
		"no subject":           {sigstore.Identity{Issuer: "i"}, `got "", want an e-mail address, a URI or name!domain`},
		"a subject of no form": {sigstore.Identity{Issuer: "i", Subject: "jane"}, `got "jane"`},
		"white space":          {sigstore.Identity{Issuer: "i", Subject: "jane @example.com"}, "want printable ASCII"},
		"another alphabet":     {sigstore.Identity{Issuer: "i", Subject: "jané!example.com"}, "want printable ASCII"},
		"an odd URI":           {sigstore.Identity{Issuer: "i", Subject: "://"}, "missing protocol scheme"},
		"an unknown extension": {sigstore.Identity{Issuer: "i", Subject: "a@b", Extensions: map[string]string{"x": "y"}}, `extensions: got "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.CA.Issue(test.identity, clock(), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %s", err, test.want)
			}
		})
	}
}

func TestTrustRootQuotesItsName(t *testing.T) {
	t.Parallel()
	text := string(newSigstore(t).TrustRoot("a: b"))
	var got []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "a: b") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff([]string{"name: 'a: b'"}, got); diff != "" {
		t.Error(diff)
	}
}

// What is certified is the subject that was asked for, under one name.
func FuzzIssue(f *testing.F) {
	for _, subject := range []string{"jane@example.com", "https://example.com/a?b#c", "jane!example.com", "!", "@", "://", "a!b@c"} {
		f.Add(subject)
	}
	s, err := sigstore.New(clock())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		signer, err := s.CA.Issue(sigstore.Identity{Issuer: "i", Subject: subject}, clock(), s.CTLog)
		if invalid := sigstore.ValidateSubject(subject); invalid != nil && err == nil {
			t.Fatalf("got a certificate for %q, want %v", subject, invalid)
		}
		if err != nil {
			return
		}
		want := subject
		if uri, err := url.Parse(subject); err == nil && strings.Contains(subject, "://") {
			want = uri.String()
		}
		if diff := cmp.Diff([]string{want}, names(t, signer)); diff != "" {
			t.Error(diff)
		}
	})
}

// names are the subject alternative names of the signer's certificate.
func names(t *testing.T, signer *sigstore.Signer) []string {
	t.Helper()
	evidence, err := signer.Sign("", nil)
	if err != nil {
		t.Fatal(err)
	}
	annotations, err := evidence.Annotations()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(annotations[sigstore.CertificateAnnotation]))
	if err != nil {
		t.Fatal(err)
	}
	return cryptoutils.GetSubjectAlternateNames(chain[0])
}
