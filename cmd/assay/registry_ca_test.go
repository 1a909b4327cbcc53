package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/world"
)

// AUTH-6: the certificate of a private registry's authority is mounted, and named
// in the environment: SSL_CERT_DIR, as upstream's chart does, or SSL_CERT_FILE.
func TestRegistryOfAPrivateAuthority(t *testing.T) {
	t.Parallel()
	description, err := world.Parse([]byte("signers: {deploy: {key: ecdsa-p256}}\nimages: {app: {signatures: [{signer: deploy, log: none}]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	server := httptest.NewTLSServer(w.Handler())
	t.Cleanup(server.Close)
	dir := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, data := range map[string][]byte{"certs/ca.crt": authority, "policy.yaml": []byte(w.Expand(`
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: signed}
spec:
  images: [{glob: "**"}]
  authorities:
    - key:
        data: |
          ${key:deploy}
`))} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := strings.Replace(w.Expand("${app@}"), w.Registry(), strings.TrimPrefix(server.URL, "https://"), 1)
	for _, tt := range []struct {
		name string
		env  []string
		want int
	}{
		{"AUTH-6: nobody is named", nil, exitDenied},
		{"AUTH-6: a file", []string{"SSL_CERT_FILE=" + filepath.Join(dir, "certs", "ca.crt")}, exitAdmitted},
		{"AUTH-6: a directory", []string{"SSL_CERT_DIR=" + filepath.Join(dir, "certs")}, exitAdmitted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cmd := exec.CommandContext(t.Context(), program, "verify", "--policy", filepath.Join(dir, "policy.yaml"), image)
			cmd.Args[0] = "assay" // TestMain runs the program under this name
			cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, tt.env...)
			cmd.Stdout, cmd.Stderr = &out, &out
			code := 0
			var ended *exec.ExitError
			if err := cmd.Run(); errors.As(err, &ended) {
				code = ended.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tt.want {
				t.Errorf("got exit code %d, want %d\n%s", code, tt.want, out.String())
			}
		})
	}
}
