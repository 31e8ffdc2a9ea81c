-- +goose Up
-- Packages whose content keys are gone and whose buyers may fetch them again, until they are swept.
create index package_spent on store.package (at) where key = '';

-- +goose Down
drop index store.package_spent;
