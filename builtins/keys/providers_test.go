//go:build !nokms

package keys_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/rego/cip"
)

// resolveOne asks the providers of this build for one key.
func resolveOne(t *testing.T, kms string) (data, gap string) {
	t.Helper()
	got, _ := keys.New(keys.Options{}).Resolve(t.Context(), []cip.Policy{policy(cip.KeyRef{KMS: kms})}, keys.Sources{})
	return got[0].Spec.Authorities[0].Key.Data, got[0].Gaps["spec.authorities[0]"]
}

func answer(w http.ResponseWriter, contentType string, value any) {
	w.Header().Set("Content-Type", contentType)
	_ = json.NewEncoder(w).Encode(value)
}

// TestVault asks a server that speaks Vault's transit API. Not parallel: the
// provider's address and token are in the environment.
func TestVault(t *testing.T) {
	ecdsa := newKey(t).Public()
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	transit := func(name, public string) map[string]any {
		return map[string]any{"data": map[string]any{"latest_version": 2, "keys": map[string]any{
			"1": map[string]any{"name": name, "public_key": "old"}, "2": map[string]any{"name": name, "public_key": public},
		}}}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "hunter2" {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		switch r.URL.Path {
		case "/v1/transit/keys/ecdsa":
			answer(w, "application/json", transit("P-256", publicPEM(t, ecdsa)))
		case "/v1/transit/keys/edwards":
			answer(w, "application/json", transit("ed25519", base64.StdEncoding.EncodeToString(edwards)))
		case "/v1/transit/keys/symmetric":
			answer(w, "application/json", map[string]any{"data": map[string]any{"latest_version": 1, "keys": map[string]any{"1": 1700000000}}})
		default:
			http.Error(w, `{"errors":[]}`, http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	for _, name := range []string{"VAULT_TOKEN", "BAO_TOKEN", "BAO_ADDR", "VAULT_NAMESPACE", "TRANSIT_SECRET_ENGINE_PATH"} {
		t.Setenv(name, "")
	}
	t.Setenv("VAULT_ADDR", server.URL)
	for _, tt := range []struct {
		name, token, kms string
		want             crypto.PublicKey
		gap              string
	}{
		{"KEY-3: an ECDSA key", "hunter2", "hashivault://ecdsa", ecdsa, ""},
		{"KEY-3: an Ed25519 key", "hunter2", "hashivault://edwards", edwards, ""},
		{"VAL-9: openbao", "hunter2", "openbao://ecdsa", ecdsa, ""},
		{"a symmetric key", "hunter2", "hashivault://symmetric", nil, "could not parse transit key keys data"},
		{"a key that is not there", "hunter2", "hashivault://absent", nil, "could not read data from transit key path: /transit/keys/absent"},
		{"a path that is none", "hunter2", "hashivault://a/b", nil, "kms specification should be in the format hashivault://<key>"},
		{"another token", "hunter3", "hashivault://ecdsa", nil, "Code: 403"},
		{"no token: no helper is run", "", "hashivault://ecdsa", nil, "got neither VAULT_TOKEN nor BAO_TOKEN in the environment, want one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("VAULT_TOKEN", tt.token)
			checkProvider(t, tt.kms, tt.want, tt.gap)
		})
	}
}

func checkProvider(t *testing.T, kms string, want crypto.PublicKey, wantGap string) {
	t.Helper()
	data, gap := resolveOne(t, kms)
	if strings.Contains(gap, "hunter") {
		t.Errorf("got gap %q, want no credential in it", gap)
	}
	if want == nil {
		if data != "" || !strings.HasPrefix(gap, `kms key "`+kms+`": `) || !strings.Contains(gap, wantGap) {
			t.Errorf("got %q and gap %q, want %q", data, gap, wantGap)
		}
		return
	}
	if diff := cmp.Diff(publicPEM(t, want), data); diff != "" || gap != "" {
		t.Errorf("got gap %q and key (-want +got):\n%s", gap, diff)
	}
}

// TestAWS asks a server that speaks the JSON of AWS KMS, over TLS as the provider
// insists.
func TestAWS(t *testing.T) {
	const (
		arn  = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		gone = "arn:aws:kms:eu-west-1:111122223333:alias/gone"
	)
	public := newKey(t).Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ KeyID string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("%s: %v", r.Header.Get("X-Amz-Target"), err)
		}
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/kms/") {
			t.Errorf("got a request signed for %s, want the region of the ARN", r.Header.Get("Authorization"))
		}
		const contentType = "application/x-amz-json-1.1"
		switch target := r.Header.Get("X-Amz-Target"); {
		case request.KeyID != arn:
			w.Header().Set("X-Amzn-Requestid", "1111")
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]any{"__type": "NotFoundException", "message": "no such key"})
		case target == "TrentService.GetPublicKey":
			answer(w, contentType, map[string]any{"KeyId": arn, "PublicKey": der, "SigningAlgorithms": []string{"ECDSA_SHA_256"}})
		case target == "TrentService.DescribeKey":
			answer(w, contentType, map[string]any{"KeyMetadata": map[string]any{"KeyId": arn, "SigningAlgorithms": []string{"ECDSA_SHA_256"}}})
		default:
			t.Errorf("got a request for %q, want one for the public key", target)
		}
	}))
	t.Cleanup(server.Close)
	roots := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(roots, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_CA_BUNDLE": roots, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "hunter3",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_TLS_INSECURE_SKIP_VERIFY": "", "HTTPS_PROXY": "", "AWS_ENDPOINT_URL": "", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	endpoint := "awskms://" + strings.TrimPrefix(server.URL, "https://") + "/"
	t.Run("KEY-3: a key by its ARN", func(t *testing.T) { checkProvider(t, endpoint+arn, public, "") })
	t.Run("a key that is not there", func(t *testing.T) { checkProvider(t, endpoint+gone, nil, "NotFoundException: no such key") })
	t.Setenv("AWS_CA_BUNDLE", "")
	t.Run("a certificate that is not trusted", func(t *testing.T) { checkProvider(t, endpoint+arn, nil, "tls: failed to verify certificate") })
}

// TestReferencesThatAreNone never leave the process: nor do they run a program.
func TestReferencesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sigstore-kms-other"), []byte("#!/bin/sh\ntouch "+dir+"/ran\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for kms, want := range map[string]string{
		"other://k": `got scheme "other", want awskms, azurekms, gcpkms, hashivault or openbao`,
		"gcpkms://k": "kms specification should be in the format gcpkms://projects/[PROJECT_ID]/locations/[LOCATION]/keyRings/[KEY_RING]" +
			"/cryptoKeys/[KEY]/cryptoKeyVersions/[VERSION]",
		"azurekms://k": "kms specification should be in the format azurekms://[VAULT_NAME][VAULT_URL]/[KEY_NAME]/[VERSION (optional)]",
	} {
		checkProvider(t, kms, nil, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("the program of a plugin was run")
	}
}
