// Package tenants gives workloads of a cluster their credentials: what kube/pull reads, as
// builtins/oci/pullsecret understands it, in the order of AUTH-1. Credentials of clouds come
// behind these, with those of the installation.
package tenants

import (
	"context"
	"errors"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/kube/pull"
)

// Cluster finds credentials in Secrets of a cluster.
type Cluster struct {
	from *pull.Puller
}

var _ tenant.Source = (*Cluster)(nil)

// New makes a source of a puller.
func New(from *pull.Puller) *Cluster { return &Cluster{from: from} }

// AtHand implements [tenant.Source].
func (c *Cluster) AtHand(asker tenant.Asker) (oci.Credentials, bool, error) {
	secrets, ok, err := c.from.AtHand(requestOf(asker))
	if !ok {
		return oci.Credentials{}, false, nil
	}
	found, err := credentials(asker, secrets, err)
	return found, true, err
}

// Find implements [tenant.Source].
func (c *Cluster) Find(ctx context.Context, asker tenant.Asker) (oci.Credentials, error) {
	secrets, err := c.from.Find(ctx, requestOf(asker))
	return credentials(asker, secrets, err)
}

func requestOf(asker tenant.Asker) pull.Request {
	if asker.Named != nil { // by no ServiceAccount (AUTH-4)
		return pull.Request{Namespace: asker.Namespace, Names: asker.Named}
	}
	account := asker.ServiceAccount
	if account == "" {
		account = "default"
	}
	return pull.Request{Namespace: asker.Namespace, ServiceAccount: account, Names: asker.PullSecrets}
}

// credentials are those in Secrets, before those of the installation unless a policy names
// them.
func credentials(asker tenant.Asker, secrets []pull.Secret, err error) (oci.Credentials, error) {
	if err != nil {
		return oci.Credentials{}, refused(err)
	}
	namespace := asker.Namespace
	read := make([]pullsecret.Secret, len(secrets))
	for i, s := range secrets {
		namespace = s.Namespace // that of the central Secret is ours: it makes one tenant of all
		read[i] = pullsecret.Secret{Name: s.Name, Type: s.Type, Data: s.Data}
	}
	found, err := pullsecret.Credentials(namespace, read)
	if err != nil || asker.Named != nil {
		return found, err
	}
	return pullsecret.Before(found, asker.Behind), nil
}

// refused is an error of the cluster with its code.
func refused(err error) error {
	var own *pull.Error
	if !errors.As(err, &own) {
		return err
	}
	return &oci.Error{Code: oci.Code(own.Code), Message: own.Message, Err: own.Err}
}
