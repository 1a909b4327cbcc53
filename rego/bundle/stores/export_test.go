package stores

// TagOf and NameOf are for tests of the names in registries.
var (
	TagOf  = tagOf
	NameOf = nameOf
)
