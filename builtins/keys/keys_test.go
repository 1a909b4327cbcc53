package keys_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/pubkey"
)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privatePEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func certificatePEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "c"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// policy has one authority with a key.
func policy(key cip.KeyRef) cip.Policy {
	return cip.Policy{Name: "p", Spec: cip.Spec{Authorities: []cip.Authority{{Name: "a", Key: &key}}}}
}

// none is a KMS that nobody may ask.
func none(t *testing.T) keys.KMS {
	t.Helper()
	return func(_ context.Context, reference string) (crypto.PublicKey, error) {
		t.Errorf("the KMS was asked for %s", reference)
		return nil, nil
	}
}

func secret(data map[string]string) cip.Secret {
	s := cip.Secret{Name: "x", Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	return s
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	public, private := publicPEM(t, key.Public()), privatePEM(t, key)
	elsewhere := secret(map[string]string{"k": public})
	elsewhere.Namespace = "team"
	system := secret(map[string]string{"k": public})
	system.Namespace = "cosign-system"
	for _, tt := range []struct {
		name       string
		secrets    []cip.Secret
		want, gaps string
	}{
		{"KEY-2: a Secret with one entry", []cip.Secret{secret(map[string]string{"any": public})}, public, ""},
		{"KEY-2: a Secret of the system namespace", []cip.Secret{system, elsewhere}, public, ""},
		{"KEY-2: a Secret with three entries holds cosign.pub",
			[]cip.Secret{secret(map[string]string{"cosign.key": private, "cosign.password": "hunter2", "cosign.pub": public})}, public, ""},
		{"KEY-2: cosign.pub and cosign.key", []cip.Secret{secret(map[string]string{"cosign.key": private, "cosign.pub": public})}, public, ""},
		{"KEY-2: a private key behind the public one stays there", []cip.Secret{secret(map[string]string{"k": public + private})}, public, ""},
		{"KEY-2: no Secret", nil, "", `secret "x" not found, looked in the policy files for namespace cosign-system`},
		{"KEY-2: a Secret of another namespace", []cip.Secret{elsewhere}, "",
			`secret "x" not found, the policy files have one in namespace team, want cosign-system`},
		{"KEY-2: a Secret without data", []cip.Secret{secret(nil)}, "", `secret "x" contains no data`},
		{"KEY-2: a Secret with a null entry", []cip.Secret{{Name: "x", Data: map[string][]byte{"k": nil}}}, "",
			`secret "x" contains an invalid public key: PEM decoding failed`},
		{"KEY-2: a Secret with two entries", []cip.Secret{secret(map[string]string{"a": public, "b": public})}, "",
			`secret "x" contains multiple data entries, only one is supported`},
		{"KEY-2: cosign.pub beside something else", []cip.Secret{secret(map[string]string{"cosign.pub": public, "other": public})}, "",
			`secret "x" contains multiple data entries, only one is supported`},
		{"KEY-2: cosign.key and cosign.password without cosign.pub",
			[]cip.Secret{secret(map[string]string{"cosign.key": private, "cosign.password": "hunter2"})}, "",
			`secret "x" contains multiple data entries, only one is supported`},
		{"KEY-2: a Secret with something else", []cip.Secret{secret(map[string]string{"k": "hunter2"})}, "",
			`secret "x" contains an invalid public key: PEM decoding failed`},
		{"KEY-2: a Secret with a private key", []cip.Secret{secret(map[string]string{"k": private})}, "",
			`secret "x" contains an invalid public key: got a PEM block of type "PRIVATE KEY", want PUBLIC KEY`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given := policy(cip.KeyRef{SecretRef: &cip.SecretRef{Name: "x"}, HashAlgorithm: "sha512"})
			got, warnings := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{given}, keys.Sources{Secrets: tt.secrets})
			want := policy(cip.KeyRef{Data: tt.want, HashAlgorithm: "sha512"})
			if tt.gaps != "" {
				want.Gaps = map[string]string{"spec.authorities[0]": tt.gaps}
			}
			if diff := cmp.Diff([]cip.Policy{want}, got); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
			if len(warnings) > 0 {
				t.Errorf("got warnings %v, want none", warnings)
			}
			if given.Spec.Authorities[0].Key.SecretRef == nil {
				t.Error("the policy that was given was changed")
			}
		})
	}
}

func TestConfigMaps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		configMaps []cip.ConfigMap
		want, gaps string
	}{
		{"POL-4: the entry", []cip.ConfigMap{{Name: "x", Data: map[string]string{"k": "text", "other": "o"}}}, "text", ""},
		{"POL-4: the system namespace", []cip.ConfigMap{{Name: "x", Namespace: "cosign-system", Data: map[string]string{"k": "text"}}}, "text", ""},
		{"POL-4: another namespace", []cip.ConfigMap{{Name: "x", Namespace: "team", Data: map[string]string{"k": "text"}}}, "",
			`configmap "x" not found, the policy files have one in namespace team, want cosign-system`},
		{"POL-4: no ConfigMap", nil, "", `configmap "x" not found, looked in the policy files for namespace cosign-system`},
		{"POL-4: no data", []cip.ConfigMap{{Name: "x"}}, "", `configmap "x" contains no data`},
		{"POL-4: no such key", []cip.ConfigMap{{Name: "x", Data: map[string]string{"other": "o"}}}, "", `configmap "x" does not contain key k`},
		{"POL-4: an empty entry is no policy", []cip.ConfigMap{{Name: "x", Data: map[string]string{"k": ""}}}, "", `configmap "x" key k: the entry is empty`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ref := func() *cip.PolicyRef {
				return &cip.PolicyRef{Type: "cue", ConfigMapRef: &cip.ConfigMapRef{Name: "x", Namespace: "ignored", Key: "k"}}
			}
			given := cip.Policy{Name: "p", Spec: cip.Spec{Policy: ref(), Authorities: []cip.Authority{
				{Attestations: []cip.Attestation{{Name: "n", Policy: ref()}, {Name: "m"}}},
			}}}
			got, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{given}, keys.Sources{ConfigMaps: tt.configMaps})
			data := &cip.PolicyRef{Type: "cue", Data: tt.want}
			want := cip.Policy{Name: "p", Spec: cip.Spec{Policy: data, Authorities: []cip.Authority{
				{Attestations: []cip.Attestation{{Name: "n", Policy: data}, {Name: "m"}}},
			}}}
			if tt.gaps != "" { // POL-5: the policy stays, and fails
				want.Gaps = map[string]string{"spec.authorities[0]": tt.gaps, "spec.policy": tt.gaps}
			}
			if diff := cmp.Diff([]cip.Policy{want}, got); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGapsOfOneAuthority: every cause is said once.
func TestGapsOfOneAuthority(t *testing.T) {
	t.Parallel()
	missing := &cip.PolicyRef{ConfigMapRef: &cip.ConfigMapRef{Name: "c", Key: "k"}}
	given := cip.Policy{Name: "p", Spec: cip.Spec{Authorities: []cip.Authority{{Keyless: &cip.KeylessRef{}}, {
		Keyless:      &cip.KeylessRef{CACert: &cip.KeyRef{SecretRef: &cip.SecretRef{Name: "s"}}},
		Attestations: []cip.Attestation{{Policy: missing}, {Policy: missing}},
	}}}}
	got, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{given}, keys.Sources{})
	want := map[string]string{"spec.authorities[1]": `secret "s" not found, looked in the policy files for namespace cosign-system; ` +
		`configmap "c" not found, looked in the policy files for namespace cosign-system`}
	if diff := cmp.Diff(want, got[0].Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// TestKeyForms: whatever form a key has, and wherever it is, it comes out as one
// that a policy may hold.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]crypto.Signer{"Ed25519": edwards}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		if forms["ECDSA "+name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for name, bits := range map[string]int{"RSA 2048": 2048, "RSA 4096": 4096} {
		if forms[name], err = rsa.GenerateKey(rand.Reader, bits); err != nil {
			t.Fatal(err)
		}
	}
	for name, key := range forms {
		public, certificate := publicPEM(t, key.Public()), certificatePEM(t, key)
		checkForm(t, name, key.Public(), public)
		checkForm(t, name+" certificate", nil, certificate)
		checkForm(t, name+" chain", nil, certificate+certificate)
		if rsaKey, ok := key.Public().(*rsa.PublicKey); ok {
			checkForm(t, name+" PKCS #1", nil,
				string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(rsaKey)})))
		}
	}
}

// checkForm resolves text from data, from a Secret and, where there is a public
// key, from a KMS.
func checkForm(t *testing.T, name string, public crypto.PublicKey, text string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		kms := none(t)
		policies := []cip.Policy{policy(cip.KeyRef{Data: text}), policy(cip.KeyRef{SecretRef: &cip.SecretRef{Name: "x"}})}
		if public != nil {
			kms = func(context.Context, string) (crypto.PublicKey, error) { return public, nil }
			policies = append(policies, policy(cip.KeyRef{KMS: "gcpkms://k"}))
		}
		got, warnings := keys.New(keys.Options{KMS: kms}).Resolve(t.Context(), policies, keys.Sources{
			Secrets: []cip.Secret{secret(map[string]string{"k": text})},
		})
		if len(warnings) > 0 || got[0].Gaps != nil || got[1].Gaps != nil {
			t.Errorf("got warnings %v and gaps %v, want none", warnings, got[1].Gaps)
		}
		for i, p := range got {
			if data := p.Spec.Authorities[0].Key.Data; data != text {
				t.Errorf("policy %d: got %q, want %q", i, data, text)
			} else if _, err := pubkey.Parse([]byte(data)); err != nil {
				t.Errorf("policy %d: %v", i, err)
			}
			_, refusal := sigstore.NewCheck(p.Spec.Authorities[0], trust.Roots{}, sigstore.Options{Now: time.Unix(1<<30, 0)})
			if refusal != nil {
				t.Errorf("policy %d: the verifier says %v", i, refusal)
			}
		}
	})
}

// TestGenerationNamesSecrets: credentials that change are no part of any compiled
// policy, and a reload has to take them all the same.
func TestGenerationNamesSecrets(t *testing.T) {
	t.Parallel()
	of := func(namespace, kind, key, value string) string {
		s := cip.Secret{Name: "s", Namespace: namespace, Type: kind, Data: map[string][]byte{key: []byte(value)}}
		return keys.Sources{Secrets: []cip.Secret{s}}.Generation()
	}
	first := of("a", "t", "k", "v")
	if again := of("a", "t", "k", "v"); again != first {
		t.Errorf("got %s and %s of the same Secret, want one", first, again)
	}
	for _, other := range []string{of("b", "t", "k", "v"), of("a", "u", "k", "v"), of("a", "t", "l", "v"), of("a", "t", "k", "w"), keys.Sources{}.Generation()} {
		if other == first {
			t.Errorf("got %s of two Secrets, want two", first)
		}
	}
}
