//! Content headers and user metadata, between the two ways of writing them.

use object_store::{Attribute, AttributeValue, Attributes as StoreAttributes};
use stocktake_core::Attributes;

/// What came with an answer. Attributes the core does not know are left out.
pub(crate) fn from_store(attributes: &StoreAttributes) -> Attributes {
    let mut known = Attributes::default();
    for (attribute, value) in attributes {
        let value = value.as_ref().to_owned();
        match attribute {
            Attribute::ContentType => known.content_type = Some(value),
            Attribute::ContentEncoding => known.content_encoding = Some(value),
            Attribute::ContentLanguage => known.content_language = Some(value),
            Attribute::ContentDisposition => known.content_disposition = Some(value),
            Attribute::CacheControl => known.cache_control = Some(value),
            Attribute::Metadata(name) => drop(known.user.insert(name.to_string(), value)),
            _ => {}
        }
    }
    known
}

/// What goes with an upload.
pub(crate) fn to_store(attributes: &Attributes) -> StoreAttributes {
    let Attributes { content_type, content_encoding, content_language, content_disposition, cache_control, user } =
        attributes;
    let headers = [
        (Attribute::ContentType, content_type),
        (Attribute::ContentEncoding, content_encoding),
        (Attribute::ContentLanguage, content_language),
        (Attribute::ContentDisposition, content_disposition),
        (Attribute::CacheControl, cache_control),
    ];
    let headers = headers.into_iter().filter_map(|(attribute, value)| Some((attribute, value.clone()?)));
    let user = user.iter().map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()));
    headers.chain(user).map(|(attribute, value)| (attribute, AttributeValue::from(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_survives_the_way_there_and_back() {
        let attributes = Attributes {
            content_type: Some("a".into()),
            content_encoding: Some("b".into()),
            content_language: Some("c".into()),
            content_disposition: Some("d".into()),
            cache_control: Some("e".into()),
            user: [("f".to_owned(), "g".to_owned())].into(),
        };
        assert_eq!(from_store(&to_store(&attributes)), attributes);
        assert!(to_store(&Attributes::default()).is_empty());
    }
}
