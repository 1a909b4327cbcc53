package tenants_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/tenants"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/pull"
)

// secret is one with a user for each host.
func secret(namespace, name string, users map[string]string) string {
	var entries []string
	for host, user := range users {
		entries = append(entries, fmt.Sprintf(`%q:{"username":%q,"password":"s3cret"}`, host, user))
	}
	config := `{"auths":{` + strings.Join(entries, ",") + `}}`
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q,"namespace":%q},"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":%q}}`,
		name, namespace, base64.StdEncoding.EncodeToString([]byte(config)))
}

// source finds credentials in a cluster of objects, by their paths.
func source(t *testing.T, options pull.Options, objects map[string]string) *tenants.Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		at := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/")
		if object, ok := objects[at]; ok {
			_, _ = fmt.Fprint(w, object)
			return
		}
		code, reason := http.StatusNotFound, "NotFound"
		if strings.HasPrefix(at, "closed/") {
			code, reason = http.StatusForbidden, "Forbidden"
		}
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"no %s"}`, reason, code, at)
	}))
	t.Cleanup(server.Close)
	client, err := dynamic.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	puller, err := pull.New(&kube.Client{Interface: client, Namespace: "cosign-system"}, options)
	if err != nil {
		t.Fatal(err)
	}
	return tenants.New(puller)
}

// installation is a keychain for one host.
type installation struct{}

func (installation) Resolve(of authn.Resource) (authn.Authenticator, error) {
	if of.RegistryStr() == "i.example" || of.RegistryStr() == "p.example" {
		return &authn.Basic{Username: "installation", Password: "s3cret"}, nil
	}
	return authn.Anonymous, nil
}

func user(t *testing.T, c oci.Credentials, host string) string {
	t.Helper()
	if c.Keychain == nil {
		return ""
	}
	repository, err := name.NewRepository(host + "/app")
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Keychain.Resolve(repository)
	if err != nil {
		t.Fatal(err)
	}
	config, err := authn.Authorization(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	return config.Username
}

func cluster() map[string]string {
	return map[string]string{
		"shop/secrets/pod":             secret("shop", "pod", map[string]string{"p.example": "pod", "s.example": "pod"}),
		"shop/secrets/account":         secret("shop", "account", map[string]string{"s.example": "account", "a.example": "account"}),
		"shop/serviceaccounts/default": `{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"default","namespace":"shop"},"imagePullSecrets":[{"name":"account"}]}`,
		"shop/secrets/garbage": `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"garbage","namespace":"shop"},"type":"kubernetes.io/dockerconfigjson",
			"data":{".dockerconfigjson":"czNjcmV0"}}`,
		"cosign-system/secrets/all": secret("cosign-system", "all", map[string]string{"p.example": "central"}),
	}
}

// TestOrder holds AUTH-1: the Pod's, its ServiceAccount's, the installation's, each for its hosts.
func TestOrder(t *testing.T) {
	t.Parallel()
	pods := pull.Options{Mode: pull.Pods}
	about := tenant.Workload{Namespace: "shop", ServiceAccount: "default", PullSecrets: []string{"pod"}}
	for _, tt := range []struct {
		name    string
		options pull.Options
		asker   tenant.Asker
		want    map[string]string // users by host
	}{
		{"a workload", pods, tenant.Asker{Workload: about}, map[string]string{"p.example": "pod", "s.example": "pod", "a.example": "account", "i.example": "installation", "o.example": ""}},
		{"one without Secrets", pods, tenant.Asker{Workload: tenant.Workload{Namespace: "bank"}}, map[string]string{"p.example": "installation", "s.example": "", "i.example": "installation"}},
		{"AUTH-4: those that a policy names, alone", pods, tenant.Asker{Workload: about, Named: []string{"account"}}, map[string]string{"s.example": "account", "p.example": "", "i.example": ""}},
		{"AUTH-4: those that are not there", pods, tenant.Asker{Workload: about, Named: []string{"gone"}}, map[string]string{"s.example": "", "i.example": ""}},
		{"central", pull.Options{Mode: pull.Central, Secret: "all"}, tenant.Asker{Workload: about}, map[string]string{"p.example": "central", "s.example": "", "i.example": "installation"}},
		{"none", pull.Options{}, tenant.Asker{Workload: about}, map[string]string{"p.example": "installation", "s.example": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := source(t, tt.options, cluster())
			tt.asker.Behind = oci.Credentials{ID: "webhook", Keychain: installation{}}
			found, err := c.Find(t.Context(), tt.asker)
			if err != nil {
				t.Fatal(err)
			}
			for host, want := range tt.want {
				if got := user(t, found, host); got != want {
					t.Errorf("%s: got user %q, want %q", host, got, want)
				}
			}
			again, ok, err := c.AtHand(tt.asker)
			if !ok || err != nil || again.ID != found.ID || strings.Contains(found.ID, "s3cret") {
				t.Errorf("got ID %q, %t and %v, want that of before", again.ID, ok, err)
			}
		})
	}
}

// TestRefusals: what cannot be known has a code, and no credentials beside it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := source(t, pull.Options{Mode: pull.Pods}, cluster())
	for _, tt := range []struct {
		name  string
		asker tenant.Asker
		want  oci.Code
	}{
		{"AUTH-2: forbidden", tenant.Asker{Workload: tenant.Workload{Namespace: "closed", ServiceAccount: "default"}}, oci.Unauthorized},
		{"AUTH-2: garbage", tenant.Asker{Workload: tenant.Workload{Namespace: "shop", ServiceAccount: "default", PullSecrets: []string{"garbage"}}}, oci.Malformed},
		{"AUTH-4: garbage that a policy names", tenant.Asker{Workload: tenant.Workload{Namespace: "shop"}, Named: []string{"garbage"}}, oci.Malformed},
		{"too many", tenant.Asker{Workload: tenant.Workload{Namespace: "shop", PullSecrets: strings.Split(strings.Repeat("abcdefghijklmnopqrstuvwxyz0123456789", 1), "")}}, oci.TooLarge},
	} {
		tt.asker.Behind = oci.Credentials{ID: "webhook", Keychain: installation{}}
		found, err := c.Find(t.Context(), tt.asker)
		if !errors.Is(err, tt.want) || found.Keychain != nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %q and %v, want %s alone", tt.name, found.ID, err, tt.want)
		}
	}
}

// TestCentralIsOneTenant: namespaces share what one Secret can read, and only that.
func TestCentralIsOneTenant(t *testing.T) {
	t.Parallel()
	ids := map[pull.Mode]map[string]bool{}
	for _, options := range []pull.Options{{Mode: pull.Pods}, {Mode: pull.Central, Secret: "all"}} {
		objects := cluster()
		objects["bank/secrets/pod"] = strings.ReplaceAll(objects["shop/secrets/pod"], "shop", "bank")
		c := source(t, options, objects)
		ids[options.Mode] = map[string]bool{}
		for _, namespace := range []string{"shop", "bank"} {
			found, err := c.Find(t.Context(), tenant.Asker{Workload: tenant.Workload{Namespace: namespace, PullSecrets: []string{"pod"}, ServiceAccount: "none"}})
			if err != nil || found.ID == "" {
				t.Fatalf("got ID %q and %v", found.ID, err)
			}
			ids[options.Mode][found.ID] = true
		}
	}
	if len(ids[pull.Pods]) != 2 || len(ids[pull.Central]) != 1 {
		t.Errorf("got %d tenants of two namespaces with equal Secrets and %d with the central one, want 2 and 1", len(ids[pull.Pods]), len(ids[pull.Central]))
	}
}
