// Package credentials_test reads the pull secrets of workloads from a real API server, with the
// rights that the documentation names and with less.
package credentials_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/pull"
)

// objects are Secrets in two namespaces, and who may read what.
const objects = `
apiVersion: v1
kind: Secret
metadata: {name: pod, namespace: shop}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths": {"r.example": {"username": "pod", "password": "s3cret"}}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: account, namespace: shop}
type: kubernetes.io/dockercfg
stringData: {.dockercfg: '{"r.example": {"username": "account", "password": "s3cret"}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
type: Opaque
stringData: {private: s3cret}
---
apiVersion: v1
kind: Secret
metadata: {name: bank, namespace: bank}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths": {"r.example": {"username": "bank", "password": "s3cret"}}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: all, namespace: cosign-system}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths": {"r.example": {"username": "all", "password": "s3cret"}}}'}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: till, namespace: shop}
imagePullSecrets: [{name: account}, {name: gone}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: pull-pods}
rules: [{apiGroups: [""], resources: [secrets, serviceaccounts], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: pull-pods}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pull-pods}
subjects: [{kind: ServiceAccount, name: pods, namespace: cosign-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pull-central, namespace: cosign-system}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [all], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pull-central, namespace: cosign-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pull-central}
subjects: [{kind: ServiceAccount, name: central, namespace: cosign-system}]
`

// names are those of Secrets in which a docker configuration was found.
func names(secrets []pull.Secret) string {
	var out []string
	for _, s := range secrets {
		if len(s.Data) > 0 {
			out = append(out, s.Namespace+"/"+s.Name)
		}
	}
	return strings.Join(out, " ")
}

func TestPullSecretsOfWorkloads(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	for _, namespace := range []string{"shop", "bank", "cosign-system"} {
		c.Namespace(t, namespace)
	}
	for _, account := range []string{"pods", "central"} {
		c.Kubectl(t, "create", "serviceaccount", "--namespace", "cosign-system", account)
	}
	if out, err := c.TryKubectl(t, objects, "apply", "--filename", "-"); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	puller := func(account string, options pull.Options) *pull.Puller {
		client, err := kube.Connect(c.ServiceAccount(t, "cosign-system", account), "cosign-system", "assay-test")
		if err != nil {
			t.Fatal(err)
		}
		out, err := pull.New(client, options)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	pods := puller("pods", pull.Options{Mode: pull.Pods})
	central := puller("central", pull.Options{Mode: pull.Central, Secret: "all"})
	without := puller("central", pull.Options{Mode: pull.Pods}) // less rights than its mode needs
	for _, tt := range []struct {
		name    string
		from    *pull.Puller
		request pull.Request
		want    string
		code    string
		message string
	}{
		{"AUTH-1: the Pod's, then its ServiceAccount's", pods, pull.Request{Namespace: "shop", ServiceAccount: "till", Names: []string{"pod"}}, "shop/pod shop/account", "", ""},
		{"AUTH-2: what is not there is left out", pods, pull.Request{Namespace: "shop", ServiceAccount: "none", Names: []string{"gone"}}, "", "", ""},
		{"AUTH-2: a namespace that is not there", pods, pull.Request{Namespace: "none", ServiceAccount: "default", Names: []string{"pod"}}, "", "", ""},
		{"AUTH-4: those that a policy names", pods, pull.Request{Namespace: "shop", Names: []string{"account"}}, "shop/account", "", ""},
		{"T18: none of another namespace", pods, pull.Request{Namespace: "shop", ServiceAccount: "default", Names: []string{"bank", "all"}}, "", "", ""},
		{"a Secret of another type has nothing for us", pods, pull.Request{Namespace: "shop", Names: []string{"keys"}}, "", "", ""},
		{"central", central, pull.Request{Namespace: "shop", ServiceAccount: "till", Names: []string{"pod"}}, "cosign-system/all", "", ""},
		{
			"AUTH-2: without the right", without, pull.Request{Namespace: "shop", ServiceAccount: "till", Names: []string{"pod"}}, "", pull.Unauthorized,
			`secrets "pod" is forbidden: User "system:serviceaccount:cosign-system:central" cannot get resource "secrets" in API group "" in the namespace "shop"`,
		},
	} {
		found, err := tt.from.Find(t.Context(), tt.request)
		var refused *pull.Error
		switch {
		case tt.code == "" && (err != nil || names(found) != tt.want):
			t.Errorf("%s: got %q and %v, want %q", tt.name, names(found), err, tt.want)
		case tt.code != "" && (!errors.As(err, &refused) || refused.Code != tt.code || refused.Message != tt.message || found != nil):
			t.Errorf("%s: got %q and %v, want %s: %s", tt.name, names(found), err, tt.code, tt.message)
		}
	}
	// Without an API server nothing is known, and nobody is anonymous for that.
	c.StopAPIServer(t)
	_, err := pods.Find(t.Context(), pull.Request{Namespace: "bank", ServiceAccount: "default", Names: []string{"bank"}})
	if refused := (*pull.Error)(nil); !errors.As(err, &refused) || refused.Code != pull.Unreachable {
		t.Errorf("got %v without an API server, want %s", err, pull.Unreachable)
	}
	c.StartAPIServer(t)
	found, err := pods.Find(t.Context(), pull.Request{Namespace: "bank", ServiceAccount: "default", Names: []string{"bank"}})
	if err != nil || names(found) != "bank/bank" {
		t.Errorf("got %q and %v with the API server back, want the Secret", names(found), err)
	}
}
