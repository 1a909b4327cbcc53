package wiring

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

func TestPullSecrets(t *testing.T) {
	t.Parallel()
	config := func(user string) map[string][]byte {
		return map[string][]byte{".dockerconfigjson": []byte(`{"auths": {"r.example": {"username": "` + user + `", "password": "s3cret"}}}`)}
	}
	secrets := pullSecrets{}
	for _, secret := range []struct {
		namespace, name, kind string
		data                  map[string][]byte
	}{
		{"shop", "pull", "kubernetes.io/dockerconfigjson", config("shop")},
		{"", "pull", "kubernetes.io/dockerconfigjson", config("default")},
		{"shop", "opaque", "Opaque", config("opaque")},
		{"shop", "broken", "kubernetes.io/dockercfg", map[string][]byte{".dockercfg": []byte("s3cret")}},
	} {
		if err := secrets.add(secret.namespace, secret.name, secret.kind, secret.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := secrets.add("default", "pull", "kubernetes.io/dockercfg", nil); err == nil || !strings.Contains(err.Error(), "default/pull: got two") {
		t.Errorf("AUTH-4: got %v of two Secrets of one name, want an error that names them", err)
	}
	ids := map[string]string{}
	for _, tt := range []struct {
		name, namespace string
		names           []string
		want            bool
	}{
		{"AUTH-4: of the namespace", "shop", []string{"pull"}, true},
		{"AUTH-4: without a namespace is in default", "default", []string{"pull"}, true},
		{"AUTH-4: with one that is missing", "shop", []string{"missing", "pull"}, true},
		{"AUTH-4: of another namespace", "bank", []string{"pull"}, false},
		{"AUTH-4: of another type", "shop", []string{"opaque"}, false},
		{"AUTH-4: missing", "shop", []string{"missing"}, false},
	} {
		got, err := secrets.credentials(tt.namespace, tt.names)
		if err != nil || (got.Keychain != nil) != tt.want {
			t.Errorf("%s: got %+v and %v, want credentials %t", tt.name, got.ID, err, tt.want)
		}
		ids[tt.name] = got.ID
	}
	if again, _ := secrets.credentials("", []string{"pull"}); again.ID != ids["AUTH-4: without a namespace is in default"] {
		t.Errorf("AUTH-4: got ID %s without a namespace, want that of default", again.ID)
	}
	if ids["AUTH-4: of the namespace"] == ids["AUTH-4: without a namespace is in default"] {
		t.Error("AUTH-4: got one ID for two namespaces")
	}
	if _, err := secrets.credentials("shop", []string{"broken"}); !errors.Is(err, oci.Malformed) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("AUTH-4: got %v, want malformed without what is secret", err)
	}
}

// TestSecretsComeWithThePolicies, from the same files.
func TestSecretsComeWithThePolicies(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets.yaml")
	if err := os.WriteFile(file, []byte(`
apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: shop}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths": {"r.example": {"username": "shop", "password": "s3cret"}}}'}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDocuments([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	for namespace, want := range map[string]bool{"shop": true, "bank": false, "": false} {
		if got, err := d.pullSecrets.credentials(namespace, []string{"pull"}); err != nil || (got.Keychain != nil) != want {
			t.Errorf("AUTH-4: namespace %q: got credentials %t and %v, want %t", namespace, got.Keychain != nil, err, want)
		}
	}
}
