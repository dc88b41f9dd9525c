//! Server-side apply.

use crate::draw::{hold, objects, variant};
use jiff::Timestamp;
use peapod_api::kinds;
use peapod_core::patch::{Operation, apply, managed_fields};
use peapod_core::schema::normalize::normalize;
use peapod_core::schema::{Type, apply_defaults, lookup_kind};
use peapod_core::strategy;
use proptest::prelude::*;
use serde_json::{Value, json};

fn operation(manager: &str, second: i64) -> Operation<'_> {
    let kind = kinds::of_resource("deployments.apps").unwrap();
    strategy::operation(kind, manager, "apps/v1", "", Timestamp::from_second(second).unwrap())
}

struct World {
    ty: &'static Type,
    object: Value,
}

impl World {
    fn new() -> World {
        let ty = lookup_kind("apps/v1", "Deployment").unwrap();
        World { ty, object: objects("Deployment").remove(0) }
    }

    fn finished(&self, mut object: Value) -> Value {
        normalize(self.ty, &mut object);
        apply_defaults("Deployment", "apps/v1", &mut object);
        object
    }

    fn applied(
        &self,
        live: Option<&Value>,
        config: &Value,
        manager: &str,
        second: i64,
        force: bool,
    ) -> Option<Value> {
        let applied = apply::apply(self.ty, live, config, &operation(manager, second), force).ok()?;
        Some(self.finished(applied))
    }
}

fn owners(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["manager"].as_str()).collect()
}

#[test]
fn applying_again_changes_nothing() {
    let world = World::new();
    hold(any::<(u64, u64)>(), |(first, second)| {
        let (one, two) = (variant(&world.object, first), variant(&world.object, second));
        let live = world.applied(None, &one, "one", 1, false);
        prop_assert!(live.is_some(), "{}", one);
        let live = live.unwrap();
        // What nobody owns belongs to whoever was before the first apply.
        prop_assume!(owners(&live) == ["one"]);
        prop_assert_eq!(world.applied(Some(&live), &one, "one", 2, false), Some(live.clone()));
        // Whoever forces gets what he asked for, and asks again in peace.
        let forced = world.applied(Some(&live), &two, "two", 3, true);
        prop_assert!(forced.is_some());
        let forced = forced.unwrap();
        prop_assume!(owners(&forced).contains(&"two"));
        prop_assert_eq!(world.applied(Some(&forced), &two, "two", 4, false), Some(forced.clone()));
        Ok(())
    });
}

#[test]
fn who_takes_everything_back_owns_nothing_and_leaves_nothing() {
    let world = World::new();
    let nothing = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let bare = world.applied(None, &nothing, "one", 1, false).unwrap();
    hold(any::<(u64, u64)>(), |(first, second)| {
        let (one, two) = (variant(&world.object, first), variant(&world.object, second));
        let live = world.applied(None, &one, "one", 1, false).unwrap();
        let both = world.applied(Some(&live), &two, "two", 2, true).unwrap();
        prop_assume!(owners(&live) == ["one"] && owners(&both).contains(&"two"));
        let alone = world.applied(Some(&both), &nothing, "one", 3, false).unwrap();
        prop_assert_eq!(owners(&alone), ["two"], "{} {}", one, two);
        let none = world.applied(Some(&alone), &nothing, "two", 4, false).unwrap();
        prop_assert_eq!(owners(&none), Vec::<&str>::new());
        prop_assert_eq!(&none["spec"], &bare["spec"], "{} {}", one, two);
        Ok(())
    });
}

#[test]
fn an_update_takes_what_it_changes_and_nothing_else() {
    let world = World::new();
    hold(any::<(u64, u64)>(), |(first, second)| {
        let live = world.applied(None, &variant(&world.object, first), "one", 1, false).unwrap();
        let mut changed = world.finished(variant(&world.object, second));
        managed_fields::update(world.ty, Some(&live), &mut changed, &operation("editor", 2));
        let mut same = changed.clone();
        managed_fields::update(world.ty, Some(&changed), &mut same, &operation("other", 3));
        prop_assert_eq!(&same, &changed, "an update without a change moves nothing");
        Ok(())
    });
}
