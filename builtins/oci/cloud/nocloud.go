//go:build nocloud

package cloud

// sources are none: the libraries of the clouds are not in this binary.
func (o Options) sources() map[Cloud]source { return nil }
