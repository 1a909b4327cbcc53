package certificate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestPatches(t *testing.T) {
	t.Parallel()
	hook := func(bundle any) any {
		return map[string]any{"name": "a", "clientConfig": map[string]any{"caBundle": bundle}}
	}
	for _, tt := range []struct {
		name     string
		webhooks any
		want     string
	}{
		{"none", nil, ""},
		{"both have it", []any{hook("bmV3"), hook("bmV3")}, ""},
		{"one has another", []any{hook("bmV3"), hook("b2xk")}, `[{"op":"replace","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/webhooks/1/clientConfig/caBundle","value":"bmV3"}]`},
		{"one has none", []any{map[string]any{"clientConfig": map[string]any{}}}, `[{"op":"replace","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"bmV3"}]`},
		{"no webhooks", "text", "error"},
		{"no webhook", []any{"text"}, "error"},
		{"no text", []any{hook(int64(3))}, "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			object := &unstructured.Unstructured{Object: map[string]any{}}
			if tt.webhooks != nil {
				object.Object["webhooks"] = tt.webhooks
			}
			object.SetResourceVersion("7")
			patch, err := patchOf(object, []byte("new"))
			got := string(patch)
			if err != nil {
				got = "error"
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
			object.SetAnnotations(map[string]string{"cert-manager.io/inject-ca-from": "a/b"})
			if _, err := patchOf(object, []byte("new")); err == nil {
				t.Error("got a patch of what cert-manager writes, want an error")
			}
		})
	}
}

func TestFilesOfCAs(t *testing.T) {
	t.Parallel()
	s := made(t, usual(), found, introduce)
	file := filepath.Join(t.TempDir(), "ca.crt")
	for _, tt := range []struct{ name, text, want string }{
		{"two, and what is beside them", "# two\n" + string(s.bundle()), ""},
		{"none", "# none\n", "got 0 certificates in PEM, want 1 to 16"},
		{"a leaf", string(encode("CERTIFICATE", s.leaf.Leaf.Raw)), "certificate 0: got one that is no CA"},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readBundle(file)
		switch {
		case tt.want == "" && (err != nil || string(got) != string(s.bundle())):
			t.Errorf("%s: got %s, %v", tt.name, got, err)
		case tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
