package shape_test

import (
	"reflect"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// TestFieldsAreThoseOfKubernetes: a field that is spelt otherwise would read nothing, and what
// is not seen is no fault.
func TestFieldsAreThoseOfKubernetes(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct{ ours, theirs any }{
		{shape.Namespace{}, corev1.Namespace{}},
		{shape.Secret{}, corev1.Secret{}},
		{shape.ServiceAccount{}, corev1.ServiceAccount{}},
		{shape.Pod{}, corev1.Pod{}},
		{shape.Deployment{}, appsv1.Deployment{}},
		{shape.Lease{}, coordinationv1.Lease{}},
		{shape.EndpointSlice{}, discoveryv1.EndpointSlice{}},
		{shape.Role{}, rbacv1.Role{}},
		{shape.Grant{}, rbacv1.RoleBinding{}},
		{shape.Configuration{}, admissionregistrationv1.MutatingWebhookConfiguration{}},
		{shape.Policy{}, admissionregistrationv1.ValidatingAdmissionPolicy{}},
		{shape.Binding{}, admissionregistrationv1.ValidatingAdmissionPolicyBinding{}},
	} {
		ours, theirs := reflect.TypeOf(pair.ours), reflect.TypeOf(pair.theirs)
		compare(t, ours.String(), ours, theirs)
	}
}

// compare wants each field of ours among theirs, of a type that reads the same.
func compare(t *testing.T, path string, ours, theirs reflect.Type) {
	t.Helper()
	ours, theirs = inner(ours), inner(theirs)
	if ours == theirs || ours.Kind() == reflect.Map && theirs.Kind() == reflect.Struct {
		return
	}
	if ours.Kind() != theirs.Kind() {
		t.Errorf("%s: got %s, want %s", path, ours, theirs)
		return
	}
	if ours.Kind() != reflect.Struct {
		return
	}
	known := map[string]reflect.Type{}
	fields(theirs, known)
	mine := map[string]reflect.Type{}
	fields(ours, mine)
	for name, of := range mine {
		switch their, ok := known[name]; {
		case ok:
			compare(t, path+"."+name, of, their)
		case !excused(path, name):
			t.Errorf("%s.%s: got a field that %s does not have", path, name, theirs)
		}
	}
}

// excused are fields of a type of ours that stands for several of theirs.
func excused(path, name string) bool {
	switch name {
	case "image", "command", "args", "volumeMounts": // of Pods' containers of every sort
		return strings.Contains(path, "ontainers")
	case "resourceNames": // webhooks' rules have none
		return strings.HasSuffix(path, ".webhooks.rules")
	case "name": // nor have validations a name
		return strings.HasSuffix(path, ".validations")
	}
	return false
}

// inner is what lists and pointers are of. Bytes are no list.
func inner(of reflect.Type) reflect.Type {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice && of.Elem().Kind() != reflect.Uint8 {
		of = of.Elem()
	}
	return of
}

// fields are those that JSON has, of embedded structures too.
func fields(of reflect.Type, into map[string]reflect.Type) {
	for field := range of.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && (options == "inline" || field.Anonymous) {
			fields(field.Type, into)
			continue
		}
		into[name] = field.Type
	}
}
